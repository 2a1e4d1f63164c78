import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import type { Teardown } from "@effect/platform/Runtime"
import { Cause, Effect, Exit, Logger, LogLevel, Option } from "effect"
import { questions } from "./questions.ts"
import { type Command, parse, usage, UsageError } from "./support/Options.ts"
import { print, tell } from "./support/terminal.ts"

const names = Object.keys(questions)

/** Each loads what it needs, so that help and refusals need nothing. */
const execute = (command: Command) => {
  switch (command._tag) {
    case "Help":
      return print(usage(names))
    case "Load":
      return Effect.flatMap(
        Effect.promise(() => import("./load.ts")),
        ({ load }) => load(command.options),
      )
    case "Measure":
      return Effect.flatMap(
        Effect.promise(() => import("./run.ts")),
        ({ run }) => run(command.options),
      )
    case "Report":
      return Effect.flatMap(
        Effect.promise(() => import("./report.ts")),
        ({ report }) =>
          Effect.zipRight(report(command.results, command.output), print(`wrote ${command.output}`)),
      )
  }
}

const reportFailure = (cause: Cause.Cause<Error>) =>
  Effect.sync(() => {
    if (Cause.isInterruptedOnly(cause)) return
    const failure = Option.getOrUndefined(Cause.failureOption(cause))
    tell(`${failure === undefined ? Cause.pretty(cause) : failure.message}\n`)
    if (failure instanceof UsageError) tell("Try --help.\n")
  })

/** A run that was cut short has not measured what it was asked for. */
const EXIT_INTERRUPTED = 130

/** Exit code of a command line that makes no sense, as in sysexits.h. */
const EX_USAGE = 64

const teardown: Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  if (Cause.isInterruptedOnly(exit.cause)) return onExit(EXIT_INTERRUPTED)
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  onExit(failure instanceof UsageError ? EX_USAGE : 1)
}

parse(process.argv.slice(2), names).pipe(
  Effect.flatMap(execute),
  Effect.tapErrorCause(reportFailure),
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.stringLogger))),
  Logger.withMinimumLogLevel(LogLevel.Warning),
  NodeRuntime.runMain({ teardown, disableErrorReporting: true, disablePrettyLogger: true }),
)
