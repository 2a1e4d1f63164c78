import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import type { Teardown } from "@effect/platform/Runtime"
import { Cause, Effect, Exit, Logger, LogLevel, Option } from "effect"
import { writeFile } from "node:fs/promises"
import * as flush from "./flush.ts"
import * as publish from "./publish.ts"
import * as Environment from "./support/Environment.ts"
import { measure } from "./support/measure.ts"
import { type Options, parse, usage, UsageError } from "./support/Options.ts"
import * as Progress from "./support/Progress.ts"
import type { MakeQuestion } from "./support/Question.ts"
import { type QuestionResult, resultOf } from "./support/Result.ts"
import * as Servers from "./support/Servers.ts"
import { environmentTable, questionTable } from "./support/table.ts"

const questions: Readonly<Record<string, MakeQuestion>> = { publish: publish.make, flush: flush.make }
const names = Object.keys(questions)

const print = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))
const tell = (text: string): void => void process.stderr.write(text)

const answer = (options: Options) =>
  Effect.fnUntraced(function* (make: MakeQuestion) {
    const question = yield* make(options)
    const onRun = Progress.reporter(question, options.repetitions, tell)
    const result = resultOf(question, yield* measure(question, options.repetitions, onRun))
    yield* print(questionTable(result))
    return result
  }, Effect.scoped)

const jsonOf = (environment: Environment.Environment, results: ReadonlyArray<QuestionResult>): string =>
  `${JSON.stringify({ ...environment, questions: results }, null, 2)}\n`

const write = (file: string | undefined, text: string, flag: "a" | "w") =>
  file === undefined
    ? Effect.void
    : Effect.tryPromise({
        try: () => writeFile(file, text, { flag }),
        catch: (error) => new UsageError({ message: `--json: ${(error as Error).message}` }),
      })

const run = (options: Options) =>
  Effect.gen(function* () {
    const environment = yield* Environment.observe
    const results = yield* Effect.forEach(options.questions, (name) => answer(options)(questions[name]!))
    const observed = environment()
    yield* print(environmentTable(observed))
    yield* write(options.json, jsonOf(observed, results), "w")
  }).pipe(
    Effect.provide(Servers.layer),
    // A file that cannot be written comes to light before the first run, not after the last one.
    (measured) => Effect.zipRight(write(options.json, "", "a"), measured),
  )

const reportFailure = (cause: Cause.Cause<Error>) =>
  Effect.sync(() => {
    if (Cause.isInterruptedOnly(cause)) return
    const failure = Option.getOrUndefined(Cause.failureOption(cause))
    tell(`${failure === undefined ? Cause.pretty(cause) : failure.message}\n`)
    if (failure instanceof UsageError) tell("Try --help.\n")
  })

/** A run that was cut short has not measured what it was asked for. */
const EXIT_INTERRUPTED = 130

const teardown: Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  onExit(Cause.isInterruptedOnly(exit.cause) ? EXIT_INTERRUPTED : 1)
}

parse(process.argv.slice(2), names).pipe(
  Effect.flatMap((options) => (options === undefined ? print(usage(names)) : run(options))),
  Effect.tapErrorCause(reportFailure),
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.stringLogger))),
  Logger.withMinimumLogLevel(LogLevel.Warning),
  NodeRuntime.runMain({ teardown, disableErrorReporting: true, disablePrettyLogger: true }),
)
