import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "fast-check"
import {
  assemblePage,
  comparePositions,
  formatCursor,
  nearestFirst,
  parseCursor,
  rangeOf,
} from "../../src/domain/History.ts"
import type { CachedMessage } from "../../src/domain/Message.ts"
import { publicMessage } from "../contracts/StoreBackend.ts"

const cacheId = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.maxSafeNat())

const position = fc.record({ cache_id: cacheId, message_id: fc.uuid() })

describe("a cursor", () => {
  it.prop("is read as the position that it was written of", { position }, ({ position: given }) => {
    assert.deepStrictEqual(parseCursor(formatCursor(given)), given)
    assert.deepStrictEqual(parseCursor(formatCursor(given).toUpperCase()), given)
  })

  it.prop("is nothing else", { text: fc.string() }, ({ text }) => {
    assert.isUndefined(parseCursor(text))
  })

  it("orders like rows of PostgreSQL", () => {
    const ordered = ["9.00000000-0000-7000-8000-00000000000f", "10.00000000-0000-7000-8000-000000000001"]
    assert.isBelow(comparePositions(parseCursor(ordered[0]!)!, parseCursor(ordered[1]!)!), 0)
    const ties = ["10.00000000-0000-7000-8000-00000000000a", "10.a0000000-0000-7000-8000-000000000001"]
    assert.isBelow(comparePositions(parseCursor(ties[0]!)!, parseCursor(ties[1]!)!), 0)
  })
})

it("a query may be wrong in more than one way, and is told all of it", () => {
  const problems = Either.getOrThrow(Either.flip(rangeOf({ before: "x", limit: 0 }))).problems
  assert.deepStrictEqual(
    problems.map(({ field }) => field),
    ["before", "limit"],
  )
})

const messages = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 40 })

describe("a page", () => {
  it.prop(
    "is the nearest of what is queued and stored, each once, and has a cursor where there is more",
    {
      queued: messages,
      stored: messages,
      direction: fc.constantFrom("before" as const, "after" as const),
      limit: fc.integer({ min: 1, max: 20 }),
    },
    ({ queued, stored, direction, limit }) => {
      const all = (numbers: ReadonlyArray<number>): ReadonlyArray<CachedMessage> =>
        numbers.map((number) => publicMessage(number)).sort(nearestFirst(direction))
      const from = direction === "after" ? publicMessage(0) : publicMessage(99)
      const page = assemblePage({
        range: { direction, from },
        limit,
        queued: { messages: all(queued), horizon: undefined },
        stored: { messages: all(stored).slice(0, limit + 1), settled: new Set() },
      })
      const expected = all([...new Set([...queued, ...stored])])
      const shown = expected.slice(0, limit).sort(comparePositions)
      assert.deepStrictEqual(page.messages, shown)
      const last = direction === "before" ? shown[0] : shown.at(-1)
      const goOn = direction === "before" ? page.previous : page.next
      assert.strictEqual(goOn, last !== undefined && expected.length > limit ? formatCursor(last) : undefined)
    },
  )

  it("ends where the queue was looked at no further, although more is stored behind", () => {
    const page = assemblePage({
      range: { direction: "before", from: undefined },
      limit: 10,
      queued: { messages: [publicMessage(9)], horizon: publicMessage(5) },
      stored: { messages: [publicMessage(7), publicMessage(4)], settled: new Set() },
    })
    assert.deepStrictEqual(
      page.messages.map(({ cache_id }) => cache_id),
      [7, 9],
    )
    assert.strictEqual(page.previous, formatCursor(publicMessage(5)))
    assert.isUndefined(page.next)
  })
})
