/** Files of results: one of JSON and one chart for each question. */
import { Effect } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { svgOf } from "./chart.ts"
import type { Environment } from "./Environment.ts"
import { UsageError } from "./Options.ts"
import type { QuestionResult } from "./Result.ts"

/** What is in a file. */
export interface Recorded {
  /** RFC 3339, UTC. */
  readonly measuredAt: string
  /** What measures it again. */
  readonly command: string
  readonly environment: Environment
  readonly question: QuestionResult
}

/** Name of the files of a question, without its extension. */
export const slugOf = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, "-")

const failed = (option: string) => (error: unknown) =>
  new UsageError({ message: `--${option}: ${(error as Error).message}` })

/** A directory that cannot be written to comes to light before the first run, not after the last one. */
export const prepare = (directory: string): Effect.Effect<void, UsageError> =>
  Effect.tryPromise({
    try: async () => {
      await fs.mkdir(directory, { recursive: true })
      await fs.access(directory, fs.constants.W_OK)
    },
    catch: failed("results"),
  })

const writeFiles = async (directory: string, measured: Omit<Recorded, "measuredAt">): Promise<void> => {
  const recorded: Recorded = { measuredAt: new Date().toISOString(), ...measured }
  const file = path.join(directory, slugOf(recorded.question.name))
  await fs.writeFile(`${file}.json`, `${JSON.stringify(recorded, null, 2)}\n`)
  await fs.writeFile(`${file}.svg`, await svgOf(recorded.question))
}

export const write = (
  directory: string,
  recorded: Omit<Recorded, "measuredAt">,
): Effect.Effect<void, UsageError> =>
  Effect.tryPromise({
    try: () => writeFiles(directory, recorded),
    catch: failed("results"),
  })

const readFiles = async (directory: string): Promise<ReadonlyArray<Recorded>> => {
  const names = (await fs.readdir(directory)).filter((name) => name.endsWith(".json"))
  return Promise.all(
    names.map(async (name) => JSON.parse(await fs.readFile(path.join(directory, name), "utf8")) as Recorded),
  )
}

/** In the order in which they were measured. */
export const read = (directory: string): Effect.Effect<ReadonlyArray<Recorded>, UsageError> =>
  Effect.tryPromise({ try: () => readFiles(directory), catch: failed("results") }).pipe(
    Effect.map((all) => all.toSorted((one, other) => one.measuredAt.localeCompare(other.measuredAt))),
    Effect.filterOrFail(
      (all) => all.length > 0,
      () => new UsageError({ message: `${directory} holds no results: run npm run bench first` }),
    ),
  )
