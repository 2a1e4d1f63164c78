import { Data, Effect } from "effect"
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"

export interface Options {
  readonly minutes: number
  readonly clients: number
  readonly seed: number
  /** Failures by which Valkey loses data are chosen, too. */
  readonly lossy: boolean
  /** Names of the failures to choose from; empty means all of them. */
  readonly faults: ReadonlyArray<string>
  /** Runs the model of the flush protocol instead. */
  readonly model: boolean
}

/** The command line makes no sense. The message says what to change. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

const seedMaximum = 2 ** 31 - 1

export const usage = (faults: ReadonlyArray<string>): string => `
Usage: npm run soak -- [options]

Runs three daemons and an application with chat-cache in it on a Valkey and a PostgreSQL that it brings up itself, puts
load on them, makes something fail about every second, heals everything, and checks the books against what the clients
were told. Exits with 1 when a check fails.

  --minutes N     how long things fail (default 5; fractions are allowed)
  --clients N     how many clients publish at once (default 24)
  --seed N        repeats the failures of an earlier run: which one when, how long, and on whom
  --lossy         also makes Valkey lose its data
  --faults A,B    chooses from these failures alone
  --model         runs the model of the flush protocol for that long instead, in memory and on real servers
  --help          shows this

Failures:
${faults.map((name) => `  ${name}`).join("\n")}

TMPDIR says where data and logs are meanwhile. The logs stay there when a check fails.
`

const number = (
  name: string,
  text: string | undefined,
  whenAbsent: number,
  [minimum, maximum]: readonly [number, number],
  pattern: RegExp = /^\d+$/,
): Effect.Effect<number, UsageError> => {
  if (text === undefined) return Effect.succeed(whenAbsent)
  const value = pattern.test(text) ? Number(text) : Number.NaN
  return value >= minimum && value <= maximum
    ? Effect.succeed(value)
    : Effect.fail(new UsageError({ message: `--${name} must be a number from ${minimum} to ${maximum}` }))
}

/** `undefined` when help is asked for. */
export const parse = (
  args: ReadonlyArray<string>,
  known: ReadonlyArray<string>,
): Effect.Effect<Options | undefined, UsageError> =>
  Effect.gen(function* () {
    const { values } = yield* Effect.try({
      try: () =>
        parseArgs({
          args: [...args],
          options: {
            minutes: { type: "string" },
            clients: { type: "string" },
            seed: { type: "string" },
            lossy: { type: "boolean" },
            faults: { type: "string" },
            model: { type: "boolean" },
            help: { type: "boolean" },
          },
        }),
      catch: (error) => new UsageError({ message: (error as Error).message }),
    })
    if (values.help === true) return undefined
    const faults = values.faults === undefined ? [] : values.faults.split(",").map((name) => name.trim())
    const unknown = faults.find((name) => !known.includes(name))
    if (unknown !== undefined) {
      return yield* new UsageError({
        message: `there is no failure "${unknown}"; there is ${known.join(", ")}`,
      })
    }
    return {
      minutes: yield* number("minutes", values.minutes, 5, [0.05, 10_000], /^\d+(\.\d+)?$/),
      clients: yield* number("clients", values.clients, 24, [1, 1000]),
      seed: yield* number("seed", values.seed, randomInt(seedMaximum), [0, seedMaximum]),
      lossy: values.lossy ?? false,
      faults,
      model: values.model ?? false,
    }
  })
