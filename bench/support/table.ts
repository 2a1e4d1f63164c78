import type { Environment } from "./Environment.ts"
import type { QuestionResult } from "./Result.ts"

const integers = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 })

const align = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("   "),
  )
}

export const questionTable = ({ name, asks, unit, conditions, contestants }: QuestionResult): string =>
  [
    `${name}: ${asks}`,
    `  ${conditions.join(" · ")}`,
    "",
    ...align([
      [`  ${unit}`, "median", "minimum", "maximum", "ratio", "client CPU each"],
      ...contestants.map((contestant) => [
        `  ${contestant.name}`,
        integers.format(contestant.median),
        integers.format(contestant.minimum),
        integers.format(contestant.maximum),
        contestant.baseline === null ? "baseline" : contestant.ratio.toFixed(2),
        `${contestant.cpuMicros.toFixed(1)} µs`,
      ]),
    ]),
    "",
  ].join("\n")

export const environmentTable = ({ machine, versions, settings }: Environment): string => {
  const pairs = (record: object) =>
    Object.entries(record)
      .map(([name, value]) => `${name} ${value}`)
      .join(" · ")
  return [
    `  machine   ${machine.cores} cores (${machine.processor}), ${machine.memoryGiB} GiB, ${machine.system}; load average ${machine.loadAverageBefore} before, ${machine.loadAverageAfter} after`,
    `  versions  ${pairs(versions)}`,
    `  settings  ${pairs(settings)}`,
    "",
  ].join("\n")
}
