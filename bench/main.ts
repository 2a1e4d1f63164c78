import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import type { Teardown } from "@effect/platform/Runtime"
import { Cause, Effect, Exit, Logger, LogLevel, Option } from "effect"
import { load } from "./load.ts"
import { questions } from "./questions.ts"
import { report } from "./report.ts"
import * as Environment from "./support/Environment.ts"
import { measure } from "./support/measure.ts"
import { type Command, type Options, parse, usage, UsageError } from "./support/Options.ts"
import * as ProcessorTime from "./support/ProcessorTime.ts"
import * as Progress from "./support/Progress.ts"
import type { MakeQuestion } from "./support/Question.ts"
import { resultOf } from "./support/Result.ts"
import * as Results from "./support/Results.ts"
import * as Servers from "./support/Servers.ts"
import { environmentTable, questionTable } from "./support/table.ts"

const names = Object.keys(questions)

const print = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))
const tell = (text: string): void => void process.stderr.write(text)

const answer = (name: string, options: Options, make: MakeQuestion) =>
  Effect.gen(function* () {
    const environment = yield* Environment.observe
    const question = yield* make(options)
    const repetitions = Math.min(options.repetitions, question.maximumRepetitions ?? Infinity)
    const onRun = Progress.reporter(question, repetitions, tell)
    const readProcessorTimes = yield* ProcessorTime.make
    const result = resultOf(question, yield* measure(question, repetitions, readProcessorTimes, onRun))
    yield* print(questionTable(result))
    yield* Results.write(options.results, {
      command: ["npm run bench --", name, ...options.given].join(" "),
      environment: environment(),
      question: result,
    })
  }).pipe(Effect.scoped)

const run = (options: Options) =>
  Effect.gen(function* () {
    const environment = yield* Environment.observe
    const parts = options.questions.flatMap((name) => questions[name]!.map((make) => ({ name, make })))
    for (const [index, { name, make }] of parts.entries()) {
      tell(`${name}: part ${index + 1} of ${parts.length}\n`)
      yield* answer(name, options, make)
    }
    yield* print(environmentTable(environment()))
  }).pipe(Effect.provide(Servers.layer), (measured) =>
    Effect.zipRight(Results.prepare(options.results), measured),
  )

const execute = (command: Command) => {
  switch (command._tag) {
    case "Help":
      return print(usage(names))
    case "Load":
      return load(command.options, print, tell)
    case "Measure":
      return run(command.options)
    case "Report":
      return report(command.results, command.output).pipe(Effect.zipRight(print(`wrote ${command.output}`)))
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
