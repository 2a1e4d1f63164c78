/** Makes a page of results: each figure with what it was measured on, how to measure it again, and what it does not show. */
import { Effect } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { svgOf } from "./support/chart.ts"
import { UsageError } from "./support/Options.ts"
import { type Recorded, read, slugOf } from "./support/Results.ts"
import { cellsOf, environmentLines, remarksOf } from "./support/table.ts"

const row = (cells: ReadonlyArray<string>): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`

const tableOf = ([header, ...rows]: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => [
  row(header!),
  row(header!.map((_, column) => (column === 0 ? "---" : "---:"))),
  ...rows.map(row),
]

const environmentOf = ({ environment }: Recorded): ReadonlyArray<string> =>
  Object.entries(environmentLines(environment)).map(([name, line]) => `- ${name}: ${line}`)

const sectionOf = (recorded: Recorded, charts: string): string => {
  const { question, command, measuredAt, environment } = recorded
  const { name, asks, better, conditions, doesNotShow } = question
  const { loadAverageBefore, loadAverageAfter } = environment.machine
  return [
    `## ${name}`,
    "",
    `${asks[0]!.toUpperCase()}${asks.slice(1)} (${better} is better)`,
    "",
    ...tableOf(cellsOf(question)),
    "",
    ...remarksOf(question).map((remark) => `- ${remark}`),
    ...conditions.map((condition) => `- ${condition}`),
    `- measured at ${measuredAt}, load average ${loadAverageBefore} before and ${loadAverageAfter} after`,
    "",
    `![${name}](${charts}/${slugOf(name)}.svg)`,
    "",
    `Measure it again: \`${command}\``,
    "",
    `**Does not show:** ${doesNotShow}`,
    "",
  ].join("\n")
}

const pageOf = (all: ReadonlyArray<Recorded>, charts: string): string =>
  [
    "# Benchmarks",
    "",
    "Made by `npm run bench -- report` of what `npm run bench` has measured; [bench/README.md](../bench/README.md) says how that",
    "is done. Trust ratios, which compare contestants that ran in turns, and not rates, which belong to one machine. CPU",
    "is processor time for one message, row or call. Figures of the client include those of the benchmark itself.",
    "",
    ...environmentOf(all.at(-1)!),
    "",
    ...all.map((recorded) => sectionOf(recorded, charts)),
  ].join("\n")

const writePage = async (all: ReadonlyArray<Recorded>, output: string): Promise<void> => {
  const charts = path.basename(output, ".md")
  const directory = path.join(path.dirname(output), charts)
  await fs.mkdir(directory, { recursive: true })
  for (const { question } of all) {
    await fs.writeFile(path.join(directory, `${slugOf(question.name)}.svg`), await svgOf(question))
  }
  await fs.writeFile(output, pageOf(all, charts))
}

/** Reads the results of a directory and writes the page, with the charts in a directory beside it. */
export const report = (results: string, output: string): Effect.Effect<void, UsageError> =>
  Effect.flatMap(read(results), (all) =>
    Effect.tryPromise({
      try: () => writePage(all, output),
      catch: (error) => new UsageError({ message: `--output: ${(error as Error).message}` }),
    }),
  )
