import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { slopeOf } from "../../bench/growth/memorySlope.ts"
import { openLoop } from "../../bench/support/openLoop.ts"

describe("an open loop", () => {
  it.live("makes every call once and in order, whether or not the earlier ones have their answers", () =>
    Effect.gen(function* () {
      const calls: Array<number> = []
      const waiting: Array<() => void> = []
      const { sent, answered, dropped } = yield* openLoop(
        { rate: 10_000, total: 50, maximumUnderWay: 50 },
        (index, done) => {
          calls.push(index)
          waiting.push(done)
          // No answer comes before the last call is made: a loop that waited for one would never get here.
          if (calls.length === 50) for (const answer of waiting) answer()
        },
      )
      assert.deepStrictEqual(calls, [...calls.keys()])
      assert.deepStrictEqual([sent, answered, dropped], [50, 50, 0])
    }),
  )

  it.live("measures from when a call was due, so that a thread that was held up counts", () =>
    Effect.gen(function* () {
      const heldUpMillis = 50
      const { latencies } = yield* openLoop(
        { rate: 1000, total: heldUpMillis, maximumUnderWay: 1000 },
        (index, done) => {
          if (index === 0) {
            const start = performance.now()
            while (performance.now() - start < heldUpMillis) continue
          }
          done()
        },
      )
      // Each call takes next to nothing once it is made. The half of them that was due longest before waited this long.
      assert.isAtLeast(latencies.percentiles().p50, (heldUpMillis / 2 - 2) * 1000)
    }),
  )

  it.live("drops arrivals that find too many calls under way, and says how many", () =>
    Effect.gen(function* () {
      const waiting: Array<() => void> = []
      let arrived = 0
      const { sent, dropped } = yield* openLoop(
        { rate: 100_000, total: 10, maximumUnderWay: 3 },
        (_index, done) => {
          arrived++
          waiting.push(done)
          if (arrived === 3) setImmediate(() => setImmediate(() => waiting.forEach((answer) => answer())))
        },
      )
      assert.strictEqual(sent + dropped, 10)
      assert.isAtLeast(dropped, 1)
    }),
  )
})

it("the slope of points on a line is that of the line", () => {
  const points = [0, 1, 2, 3].map((minutes) => ({ minutes, mebibytes: 100 + 2.5 * minutes }))
  assert.approximately(slopeOf(points), 2.5, 1e-9)
  assert.strictEqual(slopeOf(points.slice(0, 1)), 0)
})
