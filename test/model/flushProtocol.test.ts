/**
 * The whole protocol, driven through whatever can happen, in any order: see `commands.ts`. The books (`Books.ts`) are
 * checked after every command, and at the end everything is healed, and every queue has to drain.
 *
 * `FAST_CHECK_SEED` and `FAST_CHECK_PATH` repeat a failing run, `MODEL_REPLAY_PATH` its shrunk commands: a failure prints
 * all three. `MODEL_COMMANDS` is the most commands of a run, `FAST_CHECK_NUM_RUNS` the number of runs, and with
 * `MODEL_MINUTES` there are as many runs as fit into that time. With `MODEL_SHRINK=no` a failing run is shown as it was.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Logger, LogLevel, Runtime, Scope } from "effect"
import * as fc from "fast-check"
import { queueNames } from "../../src/domain/Message.ts"
import { type Command, commands } from "./commands.ts"
import { type Backend, memory, valkeyAndPostgres } from "./Servers.ts"
import * as World from "./World.ts"

const environmentNumber = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)

const maxCommands = environmentNumber("MODEL_COMMANDS", 40)
const path = process.env["FAST_CHECK_PATH"]
const replayPath = process.env["MODEL_REPLAY_PATH"]
const minutes = process.env["MODEL_MINUTES"]
/** More runs than usual take as long as they take. */
const timeout = process.env["FAST_CHECK_NUM_RUNS"] === undefined && minutes === undefined ? 60_000 : 0
const timeLimit =
  minutes === undefined ? {} : { numRuns: 1_000_000_000, interruptAfterTimeLimit: Number(minutes) * 60_000 }
const endOnFailure = process.env["MODEL_SHRINK"] === "no"

type Execute = (effect: Effect.Effect<void>) => Promise<void>

interface Real {
  readonly execute: Execute
}

/** A command after which the books are checked. */
const asyncCommand = (command: Command): fc.AsyncCommand<World.World, Real, true> => ({
  check: async (world) => command.isPossible(world),
  run: (world, { execute }) =>
    execute(
      Effect.zipRight(command.run(world), World.checkBooks(world)).pipe(
        Effect.withClock(World.clockOf(world)),
      ),
    ),
  toString: () => command.name,
})

/** Repairs everything, lets both queues drain, and finds every message in its place. */
const healAndDrain = (world: World.World): Effect.Effect<void> =>
  Effect.gen(function* () {
    world.disturbances.store = undefined
    world.disturbances.constraint = false
    world.disturbances.acknowledge = undefined
    yield* World.restart(world, 1)
    yield* World.restart(world, 0)
    for (const queue of queueNames) {
      let left = world.books.queued[queue].length
      while (left > 0) {
        const { startFlush } = world.processes[0].process
        const progress = yield* startFlush(queue, { entries: 10, bytes: 1_000_000 }, undefined)
        assert.strictEqual(progress._tag, "Ended")
        if (progress._tag === "Ended") assert.isTrue(Exit.isSuccess(progress.exit), String(progress.exit))
        const { length } = (yield* world.look).queues[queue]
        assert.isBelow(length, left, `the ${queue} queue drains`)
        left = length
      }
    }
    for (const queue of queueNames) world.books.counterTrusted[queue] = world.disruptions === 0
    yield* World.checkBooks(world)
    assert.deepStrictEqual(world.books.findings.live, yield* world.fold, "the live state is the fold")
  }).pipe(Effect.withClock(World.clockOf(world)))

const runOnce = <R>(
  backend: Backend<R>,
  runtime: Runtime.Runtime<R>,
  sequence: Iterable<fc.AsyncCommand<World.World, Real, true>>,
): Promise<void> => {
  const quiet = Logger.withMinimumLogLevel(LogLevel.None)
  const execute: Execute = (effect) => Runtime.runPromise(runtime)(quiet(effect))
  return Runtime.runPromise(runtime)(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const world = yield* World.make(backend).pipe(Scope.extend(scope))
      yield* Effect.promise(() => fc.asyncModelRun(() => ({ model: world, real: { execute } }), sequence))
      yield* healAndDrain(world)
    }).pipe(Effect.scoped, quiet),
  )
}

const hint = (details: fc.RunDetails<[Iterable<fc.AsyncCommand<World.World, Real, true>>]>): string => {
  const replayPath = /replayPath="([^"]+)"/.exec(String(details.counterexample?.[0]))?.[1]
  return `\nRepeat it with FAST_CHECK_SEED=${details.seed} FAST_CHECK_PATH=${details.counterexamplePath ?? ""} MODEL_REPLAY_PATH=${replayPath ?? ""} MODEL_COMMANDS=${maxCommands}`
}

const suite = <R>(backend: Backend<R>, numRuns: number) =>
  layer(backend.environment, { excludeTestServices: true })(`the flush protocol on ${backend.name}`, (it) => {
    it.effect(
      "keeps its books whatever happens",
      () =>
        Effect.gen(function* () {
          const runtime = yield* Effect.runtime<R>()
          const sequences = fc.commands(
            commands.map((command) => command.map(asyncCommand)),
            { maxCommands, size: "max", ...(replayPath === undefined ? {} : { replayPath }) },
          )
          const details = yield* Effect.promise(() =>
            fc.check(
              fc.asyncProperty(sequences, (sequence) => runOnce(backend, runtime, sequence)),
              {
                numRuns: environmentNumber("FAST_CHECK_NUM_RUNS", numRuns),
                endOnFailure,
                ...timeLimit,
                ...(path === undefined ? {} : { path }),
              },
            ),
          )
          if (minutes !== undefined) process.stdout.write(`${details.numRuns} runs on ${backend.name}\n`)
          if (details.failed) assert.fail(`${fc.defaultReportMessage(details)}${hint(details)}`)
        }),
      timeout,
    )
  })

suite(memory, 100)
suite(valkeyAndPostgres, 15)
