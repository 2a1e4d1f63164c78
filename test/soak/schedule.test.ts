import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { faults } from "./faults/all.ts"
import { schedule } from "./schedule.ts"

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const durations = fc.integer({ min: 3000, max: 60_000 })
const kindOf = (name: string) => faults.find((fault) => fault.name === name)!

describe("the schedule of failures", () => {
  it.prop("follows from the seed", [seeds, durations], ([seed, millis]) => {
    assert.deepStrictEqual(schedule(seed, millis, faults), schedule(seed, millis, faults))
  })

  it.prop("differs from seed to seed", [seeds], ([seed]) => {
    assert.notDeepEqual(schedule(seed, 60_000, faults), schedule(seed + 1, 60_000, faults))
  })

  it.prop(
    "has one failure about every second, in order, all healed in time",
    [seeds, durations],
    ([seed, millis]) => {
      const plan = schedule(seed, millis, faults)
      assert.isAbove(plan.length, 0)
      const begins = [0, ...plan.map(({ at }) => at)]
      plan.forEach(({ at, lasts, name, target }, index) => {
        const kind = kindOf(name)
        assert.isAtLeast(at - begins[index]!, 400)
        assert.isAtMost(at - begins[index]!, 1600)
        assert.isAtMost(at + lasts, millis)
        assert.isTrue(kind.longest === 0 ? lasts === 0 : lasts >= 100 && lasts <= kind.longest)
        assert.isTrue(target >= 0 && target < kind.targets)
      })
    },
  )

  it.prop("strikes nothing that is struck already", [seeds, durations], ([seed, millis]) => {
    const freeAt = new Map<string, number>()
    for (const { at, lasts, name, target } of schedule(seed, millis, faults)) {
      const place = `${kindOf(name).strikes} ${target}`
      assert.isAtLeast(at, freeAt.get(place) ?? 0)
      freeAt.set(place, at + lasts)
    }
  })

  it.prop(
    "knows no failure that is not chosen, and forgets none that is",
    [seeds],
    ([seed]) => {
      const names = new Set(schedule(seed, 20 * 60_000, faults).map(({ name }) => name))
      assert.deepStrictEqual(names, new Set(faults.map(({ name }) => name)))
      const only = faults.slice(0, 1)
      assert.deepStrictEqual(
        [...new Set(schedule(seed, 60_000, only).map(({ name }) => name))],
        [only[0]!.name],
      )
    },
    { fastCheck: { numRuns: 5 } },
  )
})

it("every failure has a name of its own", () => {
  assert.strictEqual(new Set(faults.map(({ name }) => name)).size, faults.length)
})
