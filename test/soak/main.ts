import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import type { Teardown } from "@effect/platform/Runtime"
import { Cause, Data, Effect, Exit, Option } from "effect"
import { faults } from "./faults/all.ts"
import * as Model from "./model.ts"
import { type Options, parse, usage, UsageError } from "./Options.ts"
import { commandOf, hasFailed, report } from "./report.ts"
import * as Soak from "./soak.ts"

class ChecksFailed extends Data.TaggedError("ChecksFailed")<{ readonly message: string }> {}

const names = faults.map(({ name }) => name)

const print = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))
const tell = (text: string): void => void process.stderr.write(text)

const soak = (options: Options) =>
  Effect.gen(function* () {
    const directories = yield* Soak.makeDirectories
    const chosen = faults.filter(
      ({ name, isLossy }) =>
        (options.lossy || !isLossy) && (options.faults.length === 0 || options.faults.includes(name)),
    )
    yield* print(`${commandOf(options)}\n`)
    const result = yield* Soak.run(options, chosen, directories, tell).pipe(
      Effect.tapErrorCause((cause) =>
        Cause.isInterruptedOnly(cause)
          ? Effect.void
          : Effect.zipRight(
              directories.keepLogs,
              Effect.sync(() => tell(`The logs are in ${directories.logs}.\n`)),
            ),
      ),
    )
    yield* print(report(result))
    if (!hasFailed(result)) return
    yield* directories.keepLogs
    return yield* new ChecksFailed({
      message: `A check has failed. Run it again with\n  ${commandOf(options)}\nThe logs are in ${directories.logs}.`,
    })
  }).pipe(Effect.scoped)

const reportFailure = (cause: Cause.Cause<unknown>) =>
  Effect.sync(() => {
    if (Cause.isInterruptedOnly(cause)) return
    const failure = Option.getOrUndefined(Cause.failureOption(cause))
    tell(`${failure instanceof Error ? failure.message : Cause.pretty(cause)}\n`)
    if (failure instanceof UsageError) tell("Try --help.\n")
  })

/** A run that was cut short has checked nothing. */
const EXIT_INTERRUPTED = 130

const teardown: Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  onExit(Cause.isInterruptedOnly(exit.cause) ? EXIT_INTERRUPTED : 1)
}

const run = (options: Options | undefined): Effect.Effect<void, unknown> => {
  if (options === undefined) return print(usage(names))
  return options.model ? Model.run(options) : soak(options)
}

parse(process.argv.slice(2), names).pipe(
  Effect.flatMap(run),
  Effect.tapErrorCause(reportFailure),
  NodeRuntime.runMain({ teardown, disableErrorReporting: true, disablePrettyLogger: true }),
)
