import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { measure, type Run } from "../../bench/support/measure.ts"
import type { ProcessorTimes } from "../../bench/support/ProcessorTime.ts"
import { CheckFailed, type Contestant, type Question } from "../../bench/support/Question.ts"
import { median, resultOf } from "../../bench/support/Result.ts"

const question = (contestants: ReadonlyArray<Contestant>): Question => ({
  name: "test",
  asks: "whether this works",
  unit: "messages/s",
  better: "higher",
  amount: 1000,
  conditions: [],
  doesNotShow: "anything else",
  contestants,
})

const contestant = (name: string, log: Array<string> = []): Contestant => ({
  name,
  prepare: Effect.sync(() => void log.push(`prepare ${name}`)),
  run: Effect.sync(() => void log.push(`run ${name}`)),
  check: Effect.sync(() => void log.push(`check ${name}`)),
})

const ignore = (_run: Run) => Effect.void

const times: ProcessorTimes = { client: 0, valkey: 0, postgresql: null, daemon: null }
const readTimes = () => Effect.succeed(times)

describe("measure", () => {
  it.live("takes the contestants in turns, after a round that is checked and not counted", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const measurements = yield* measure(
        question([contestant("a", log), contestant("b", log)]),
        2,
        readTimes,
        ignore,
      )
      const turn = (name: string) => [`prepare ${name}`, `run ${name}`, `check ${name}`]
      assert.deepStrictEqual(
        log,
        [1, 2, 3].flatMap(() => [...turn("a"), ...turn("b")]),
      )
      assert.deepStrictEqual(
        measurements.map(({ samples }) => samples.length),
        [2, 2],
      )
    }),
  )

  it.live("fails, and says whose, when a check fails", () =>
    Effect.gen(function* () {
      const wrong: Contestant = {
        ...contestant("b"),
        check: new CheckFailed({ message: "one message is lost" }),
      }
      const error = yield* Effect.flip(measure(question([contestant("a"), wrong]), 2, readTimes, ignore))
      assert.strictEqual(error.message, "test, b: one message is lost")
    }),
  )
})

it("the median is the middle one, or between the two in the middle", () => {
  assert.deepStrictEqual([median([3, 1, 2]), median([4, 1, 3, 2]), median([7])], [2, 2.5, 7])
})

it("the ratio compares the medians of a contestant and its baseline", () => {
  const base = contestant("base")
  const fast = { ...contestant("fast"), baseline: "base" }
  const samples = (rates: ReadonlyArray<number>) =>
    rates.map((value) => ({ value, cpuMicros: { ...times, client: 1000 / value } }))
  const { contestants } = resultOf(question([base, fast]), [
    { contestant: base, samples: samples([100, 50, 400]) },
    { contestant: fast, samples: samples([250, 500, 90]) },
  ])
  assert.deepStrictEqual(
    contestants.map(({ median, minimum, maximum, ratio, cpuMicros }) => [
      median,
      minimum,
      maximum,
      ratio,
      cpuMicros.client,
    ]),
    [
      [100, 50, 400, 1, 10],
      [250, 90, 500, 2.5, 4],
    ],
  )
})
