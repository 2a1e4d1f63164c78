import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import {
  type CacheBackend,
  CacheControl,
  entryText,
  publication,
  publications,
  textOf,
} from "./CacheBackend.ts"

const everything = { entries: 1_000_000, bytes: 1_000_000_000 }

/** A queue of `count` messages with the ids 1 to `count`. */
const fill = (count: number) =>
  Effect.gen(function* () {
    const cache = yield* MessageCache
    const flushQueue = yield* FlushQueue
    yield* flushQueue.raiseCounter("public", 0)
    if (count > 0) yield* cache.append("public", publications(count, "ann"))
    return yield* flushQueue.head("public", everything)
  })

const queued = Effect.gen(function* () {
  return (yield* (yield* FlushQueue).head("public", everything)).map(textOf)
})

export const flushQueueContract = <R>(backend: CacheBackend<R>) => {
  layer(backend.environment)(`FlushQueue: ${backend.name}`, (it) => {
    it.effect.prop(
      "reads from the head, bounded by entries and bytes, at least one, without removing",
      {
        sizes: fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 50 }),
        entries: fc.integer({ min: 1, max: 60 }),
        bytes: fc.integer({ min: 1, max: 6000 }),
      },
      ({ sizes, entries, bytes }) =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          const flushQueue = yield* FlushQueue
          yield* flushQueue.raiseCounter("public", 0)
          yield* cache.append(
            "public",
            sizes.map((size) => ({ payload: JSON.stringify("é".repeat(size)), ownerId: "ann" })),
          )
          const all = yield* flushQueue.head("public", everything)
          expect(all.length).toBe(sizes.length)
          const head = yield* flushQueue.head("public", { entries, bytes })
          expect(head).toEqual(all.slice(0, head.length))
          const size = (count: number) => all.slice(0, count).reduce((sum, entry) => sum + entry.length, 0)
          expect(head.length).toBeLessThanOrEqual(entries)
          if (all.length > 0) expect(head.length).toBeGreaterThan(0)
          if (head.length > 1) expect(size(head.length)).toBeLessThanOrEqual(bytes)
          if (head.length < Math.min(all.length, entries))
            expect(size(head.length + 1)).toBeGreaterThan(bytes)
          expect(yield* flushQueue.length("public")).toBe(sizes.length)
        }).pipe(Effect.provide(backend.ports())),
      { fastCheck: { numRuns: 30 } },
    )

    it.effect.prop(
      "reads from any id on in either direction, nearest first, as far as the limit goes, and tells what it left",
      {
        skips: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 90 }),
        acknowledged: fc.integer({ min: 0, max: 30 }),
        from: fc.integer({ min: 0, max: 200 }),
        direction: fc.constantFrom("before" as const, "after" as const),
        entries: fc.integer({ min: 1, max: 150 }),
        bytes: fc.oneof(fc.constant(1_000_000), fc.integer({ min: 1, max: 3000 })),
      },
      ({ skips, acknowledged, from, direction, entries, bytes }) =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          const flushQueue = yield* FlushQueue
          yield* flushQueue.raiseCounter("public", 0)
          for (const [number, skip] of skips.entries()) {
            for (let id = 0; id < skip; id++) yield* flushQueue.nextCacheId("public")
            yield* cache.append("public", [publication(number, "ann")])
          }
          yield* flushQueue.acknowledge(
            "public",
            yield* flushQueue.head("public", { entries: acknowledged, bytes: 1_000_000 }),
          )
          const all = yield* flushQueue.head("public", everything)
          const idOf = (entry: Uint8Array) => Number(JSON.parse(textOf(entry)).cache_id)
          const inRange =
            direction === "before"
              ? all.filter((entry) => idOf(entry) <= from).toReversed()
              : all.filter((entry) => idOf(entry) >= from)
          const page = yield* flushQueue.page("public", { direction, from }, { entries, bytes })
          expect(page.entries.map(textOf)).toEqual(inRange.slice(0, page.entries.length).map(textOf))
          const size = (count: number) =>
            inRange.slice(0, count).reduce((sum, entry) => sum + entry.length, 0)
          const { length } = page.entries
          expect(length).toBeLessThanOrEqual(entries)
          if (inRange.length > 0) expect(length).toBeGreaterThan(0)
          if (length > 1) expect(size(length)).toBeLessThanOrEqual(bytes)
          if (length < Math.min(inRange.length, entries)) expect(size(length + 1)).toBeGreaterThan(bytes)
          expect(page.hasMore).toBe(length < inRange.length)
          expect(page.isInside).toBe(inRange.length < all.length)
          const newest = yield* flushQueue.page(
            "public",
            { direction: "before", from: undefined },
            everything,
          )
          expect(newest).toEqual({ entries: all.toReversed(), isInside: false, hasMore: false })
        }).pipe(
          Effect.provide(backend.ports({ rateLimit: { message_limit: 1_000_000, window_seconds: 60 } })),
        ),
      { fastCheck: { numRuns: 60 } },
    )

    it.effect.prop(
      "removes exactly the acknowledged entries from the head, once, in whatever order flushers come",
      {
        count: fc.integer({ min: 1, max: 60 }),
        acknowledgements: fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 6 }),
        late: fc.integer({ min: 0, max: 20 }),
      },
      ({ count, acknowledgements, late }) =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          const flushQueue = yield* FlushQueue
          const all = yield* fill(count)
          yield* cache.append("public", publications(late, "bob"))
          const expected = yield* queued
          let gone = 0
          for (const length of acknowledgements) {
            // Each flusher read from the head of the queue when nothing was acknowledged yet.
            const batch = all.slice(0, length)
            const removed = yield* flushQueue.acknowledge("public", batch)
            expect(removed).toBe(Math.max(0, batch.length - gone))
            gone = Math.max(gone, batch.length)
            expect(yield* queued).toEqual(expected.slice(gone))
          }
        }).pipe(Effect.provide(backend.ports())),
      { fastCheck: { numRuns: 40 } },
    )

    it.effect.prop(
      "removes nothing that was published after the server lost its data, though the ids are the same",
      { before: fc.integer({ min: 1, max: 40 }), after: fc.integer({ min: 0, max: 40 }) },
      ({ before, after }) =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          const flushQueue = yield* FlushQueue
          const lost = yield* fill(before)
          yield* (yield* CacheControl).wipe
          yield* flushQueue.raiseCounter("public", 0)
          const others = publications(after, "bob").map((message) => ({
            ...message,
            payload: '{"other":true}',
          }))
          yield* cache.append("public", others)
          expect(yield* flushQueue.acknowledge("public", lost)).toBe(0)
          expect((yield* queued).length).toBe(after)
        }).pipe(Effect.provide(backend.ports())),
      { fastCheck: { numRuns: 20 } },
    )

    it.effect("acknowledges from where its batch begins, not from behind another entry", () =>
      Effect.gen(function* () {
        const flushQueue = yield* FlushQueue
        const all = yield* fill(6)
        expect(yield* flushQueue.acknowledge("public", all.slice(1, 3))).toBe(0)
        expect(yield* flushQueue.acknowledge("public", [])).toBe(0)
        expect((yield* queued).length).toBe(6)
        expect(yield* flushQueue.acknowledge("public", all.slice(0, 2))).toBe(2)
        expect(yield* flushQueue.acknowledge("public", all.slice(0, 4))).toBe(2)
        expect(yield* queued).toEqual(all.slice(4).map(textOf))
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect.prop(
      "reads what follows the first entries, and not again what is the head by then",
      {
        count: fc.integer({ min: 0, max: 60 }),
        skip: fc.integer({ min: 0, max: 70 }),
        entries: fc.integer({ min: 1, max: 40 }),
        leaveAsMany: fc.boolean(),
        other: fc.integer({ min: 0, max: 70 }),
      },
      ({ count, skip, entries, leaveAsMany, other }) =>
        Effect.gen(function* () {
          const leave = leaveAsMany ? skip : other
          const flushQueue = yield* FlushQueue
          const all = yield* fill(count)
          const limit = { ...everything, entries }
          const following = yield* flushQueue.following("public", skip, limit)
          expect(following).toEqual(all.slice(skip, skip + entries))
          yield* flushQueue.acknowledge("public", all.slice(0, leave))
          const head = yield* flushQueue.head("public", limit, following)
          if (following.length > 0 && leave === skip) expect(head).toBe(following)
          else expect(head).toEqual(all.slice(leave, leave + entries))
        }).pipe(Effect.provide(backend.ports())),
      { fastCheck: { numRuns: 60 } },
    )

    it.effect("shows queue and counter at one instant", () =>
      Effect.gen(function* () {
        const flushQueue = yield* FlushQueue
        expect(yield* flushQueue.snapshot("public")).toEqual({
          length: 0,
          head: undefined,
          lastCacheId: undefined,
        })
        const all = yield* fill(3)
        yield* flushQueue.acknowledge("public", all.slice(0, 1))
        expect(yield* flushQueue.nextCacheId("public")).toBe(4)
        const { head, ...numbers } = yield* flushQueue.snapshot("public")
        expect(numbers).toEqual({ length: 2, lastCacheId: 4 })
        expect(textOf(head!)).toBe(textOf(all[1]!))
        expect(yield* flushQueue.snapshot("private")).toMatchObject({ length: 0, lastCacheId: undefined })
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect("keeps the two queues apart", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        const flushQueue = yield* FlushQueue
        const all = yield* fill(3)
        yield* flushQueue.raiseCounter("private", 100)
        yield* cache.append("private", [publication(0, "ann", "bob")])
        expect(yield* flushQueue.acknowledge("private", all)).toBe(0)
        expect(yield* flushQueue.length("private")).toBe(1)
        expect(yield* flushQueue.lastCacheId("private")).toBe(101)
        expect(yield* flushQueue.lastCacheId("public")).toBe(3)
        expect((yield* flushQueue.head("private", everything)).map(textOf)).toEqual([
          entryText(101, '{"number":0}'),
        ])
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect.prop(
      "raises the counter to the greatest of what is known, and never lowers it",
      { floors: fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 8 }) },
      ({ floors }) =>
        Effect.gen(function* () {
          const flushQueue = yield* FlushQueue
          let held: number | undefined
          for (const floor of floors) {
            expect(yield* flushQueue.lastCacheId("public")).toBe(held)
            const after = Math.max(held ?? 0, floor)
            expect(yield* flushQueue.raiseCounter("public", floor)).toEqual({ before: held, after })
            held = after
          }
          expect(yield* flushQueue.nextCacheId("public")).toBe((held ?? 0) + 1)
          expect(yield* flushQueue.lastCacheId("public")).toBe((held ?? 0) + 1)
        }).pipe(Effect.provide(backend.ports())),
      { fastCheck: { numRuns: 15 } },
    )

    it.effect("counts exactly up to 2^53 - 1 and gives no id while the counter is missing", () =>
      Effect.gen(function* () {
        const flushQueue = yield* FlushQueue
        expect(yield* Effect.flip(flushQueue.nextCacheId("private"))).toMatchObject({
          _tag: "CounterMissing",
          queue: "private",
        })
        expect(yield* flushQueue.lastCacheId("private")).toBeUndefined()
        expect(yield* flushQueue.raiseCounter("private", Number.MAX_SAFE_INTEGER - 1)).toEqual({
          before: undefined,
          after: Number.MAX_SAFE_INTEGER - 1,
        })
        expect(yield* flushQueue.nextCacheId("private")).toBe(Number.MAX_SAFE_INTEGER)
        expect(yield* flushQueue.lastCacheId("private")).toBe(Number.MAX_SAFE_INTEGER)
      }).pipe(Effect.provide(backend.ports())),
    )
  })
}
