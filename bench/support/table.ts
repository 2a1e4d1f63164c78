import type { Environment } from "./Environment.ts"
import { format, formatOrNothing } from "./figures.ts"
import type { ContestantResult, QuestionResult } from "./Result.ts"

interface Column {
  readonly title: string
  readonly cell: (contestant: ContestantResult) => string
  /** Whether it says anything about this contestant. */
  readonly applies: (contestant: ContestantResult) => boolean
}

const always = () => true

/** The columns that every figure has, and those of processors and percentiles where there are any. */
const columnsOf = ({ unit, contestants }: QuestionResult): ReadonlyArray<Column> => [
  { title: unit, cell: ({ name }) => name, applies: always },
  { title: "median", cell: ({ median }) => format(median), applies: always },
  { title: "minimum", cell: ({ minimum }) => format(minimum), applies: always },
  { title: "maximum", cell: ({ maximum }) => format(maximum), applies: always },
  {
    title: "ratio",
    cell: ({ name, baseline, ratio }) => {
      if (baseline !== null) return ratio.toFixed(2)
      return contestants.some((other) => other.baseline === name) ? "baseline" : "–"
    },
    applies: always,
  },
  ...(["p50", "p99", "p999"] as const).map((percentile): Column => ({
    title: `${percentile === "p999" ? "p99.9" : percentile} µs`,
    cell: ({ latency }) => formatOrNothing(latency?.[percentile] ?? null),
    applies: ({ latency }) => latency !== null,
  })),
  ...(["client", "valkey", "postgresql", "daemon"] as const).map((process): Column => ({
    title: `CPU µs: ${process}`,
    cell: ({ cpuMicros }) => formatOrNothing(cpuMicros[process]),
    applies: ({ cpuMicros }) => (cpuMicros[process] ?? 0) > 0,
  })),
]

/** The header and a row for each contestant. */
export const cellsOf = (result: QuestionResult): ReadonlyArray<ReadonlyArray<string>> => {
  const { contestants } = result
  const columns = columnsOf(result).filter(({ applies }) => contestants.some(applies))
  return [
    columns.map(({ title }) => title),
    ...contestants.map((contestant) => columns.map(({ cell }) => cell(contestant))),
  ]
}

const align = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("   "),
  )
}

export const remarksOf = ({ contestants }: QuestionResult): ReadonlyArray<string> =>
  contestants.flatMap(({ name, remark }) => (remark === null ? [] : [`${name}: ${remark}`]))

export const questionTable = (result: QuestionResult): string =>
  [
    `${result.name}: ${result.asks}`,
    `  ${[...result.conditions, `${result.better} is better`].join(" · ")}`,
    "",
    ...align(cellsOf(result)).map((line) => `  ${line}`),
    ...remarksOf(result).map((remark) => `  ${remark}`),
    "",
  ].join("\n")

const pairs = (record: object): string =>
  Object.entries(record)
    .map(([name, value]) => `${name} ${value}`)
    .join(" · ")

/** What figures depend on, by name. */
export const environmentLines = ({ machine, versions, settings }: Environment): Record<string, string> => ({
  machine: `${machine.cores} cores (${machine.processor}), ${machine.memoryGiB} GiB, ${machine.system}; load average ${machine.loadAverageBefore} before, ${machine.loadAverageAfter} after`,
  versions: pairs(versions),
  settings: pairs(settings),
})

export const environmentTable = (environment: Environment): string =>
  [
    ...Object.entries(environmentLines(environment)).map(([name, line]) => `  ${name.padEnd(9)} ${line}`),
    "",
  ].join("\n")
