import { Data, Effect } from "effect"
import { parseArgs } from "node:util"

export interface Options {
  /** Names of the questions, in order. */
  readonly questions: ReadonlyArray<string>
  /** Timed runs of each contestant, after one that is not counted. */
  readonly repetitions: number
  /** Messages of one run, where the question's own number is not wanted. */
  readonly messages: number | undefined
  /** Fibers that publish at once. */
  readonly callers: number
  /** Different authors of the messages, each with a rate limit of its own. */
  readonly users: number
  /** Where the results go as JSON. */
  readonly json: string | undefined
}

/** The command line makes no sense. The message says what to change. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

export const usage = (questions: ReadonlyArray<string>): string => `
Usage: npm run bench -- [question …] [options]

Measures chat-cache against the plain way of doing the same, on a Valkey and a PostgreSQL that it brings up itself
and removes again. Progress goes to standard error, the result to standard output.

Questions: ${questions.join(", ")} (all of them unless named)

  --repetitions N   timed runs of each contestant, after one to warm up (default 5)
  --messages N      messages in each run (default: the question's own number)
  --callers N       fibers that publish at once (default 512)
  --users N         authors of the messages (default 10000)
  --json FILE       also writes the results, every single run included, to FILE
  --help            shows this

TMPDIR says where the servers keep their data meanwhile (default: the system's directory for temporary files).
`

const integer = <Default>(
  name: string,
  text: string | undefined,
  whenAbsent: Default,
  maximum: number,
): Effect.Effect<number | Default, UsageError> => {
  if (text === undefined) return Effect.succeed(whenAbsent)
  const value = /^\d+$/.test(text) ? Number(text) : 0
  return value >= 1 && value <= maximum
    ? Effect.succeed(value)
    : Effect.fail(new UsageError({ message: `--${name} must be an integer from 1 to ${maximum}` }))
}

/** `undefined` when help is asked for. */
export const parse = (
  args: ReadonlyArray<string>,
  known: ReadonlyArray<string>,
): Effect.Effect<Options | undefined, UsageError> =>
  Effect.gen(function* () {
    const { values, positionals } = yield* Effect.try({
      try: () =>
        parseArgs({
          args: [...args],
          allowPositionals: true,
          options: {
            repetitions: { type: "string" },
            messages: { type: "string" },
            callers: { type: "string" },
            users: { type: "string" },
            json: { type: "string" },
            help: { type: "boolean" },
          },
        }),
      catch: (error) => new UsageError({ message: (error as Error).message }),
    })
    if (values.help === true) return undefined
    const unknown = positionals.find((name) => !known.includes(name))
    if (unknown !== undefined) {
      return yield* new UsageError({
        message: `there is no question "${unknown}"; there is ${known.join(", ")}`,
      })
    }
    return {
      questions: positionals.length === 0 ? known : [...new Set(positionals)],
      repetitions: yield* integer("repetitions", values.repetitions, 5, 1000),
      messages: yield* integer("messages", values.messages, undefined, 1_000_000),
      callers: yield* integer("callers", values.callers, 512, 10_000),
      users: yield* integer("users", values.users, 10_000, 1_000_000),
      json: values.json,
    }
  })
