/** Asks questions, and records the answers. */
import { Effect } from "effect"
import { questions } from "./questions.ts"
import * as Environment from "./support/Environment.ts"
import { measure } from "./support/measure.ts"
import type { Options } from "./support/Options.ts"
import * as ProcessorTime from "./support/ProcessorTime.ts"
import * as Progress from "./support/Progress.ts"
import type { MakeQuestion } from "./support/Question.ts"
import { resultOf } from "./support/Result.ts"
import * as Results from "./support/Results.ts"
import * as Servers from "./support/Servers.ts"
import { environmentTable, questionTable } from "./support/table.ts"
import { print, tell } from "./support/terminal.ts"

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

export const run = (options: Options) =>
  Effect.gen(function* () {
    const environment = yield* Environment.observe
    const parts = options.questions.flatMap((name) => questions[name]!.map((load) => ({ name, load })))
    for (const [index, { name, load }] of parts.entries()) {
      tell(`${name}: part ${index + 1} of ${parts.length}\n`)
      yield* answer(name, options, (yield* Effect.promise(load)).make)
    }
    yield* print(environmentTable(environment()))
  }).pipe(Effect.provide(Servers.layer), (measured) =>
    Effect.zipRight(Results.prepare(options.results), measured),
  )
