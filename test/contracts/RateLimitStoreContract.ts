import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import type { RateLimitSettings } from "../../src/domain/RateLimit.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { RateLimitStore } from "../../src/services/RateLimitStore.ts"
import { type CacheBackend, CacheControl, publications } from "./CacheBackend.ts"

const limit = (message_limit: number, window_seconds: number): RateLimitSettings => ({
  message_limit,
  window_seconds,
})

const start = Effect.flatMap(FlushQueue, (flushQueue) => flushQueue.raiseCounter("public", 0))

/** Sends `count` messages of one user. Returns how many were taken, and the longest wait of the others. */
const send = (count: number, userId = "ann") =>
  Effect.gen(function* () {
    const { outcomes } = yield* (yield* MessageCache).append("public", publications(count, userId))
    const waits = outcomes.flatMap((outcome) => (outcome._tag === "Limited" ? [outcome.retryAfterMs] : []))
    return { taken: count - waits.length, wait: Math.max(0, ...waits) }
  })

export const rateLimitStoreContract = <R>(backend: CacheBackend<R>) => {
  layer(backend.environment)(`RateLimitStore: ${backend.name}`, (it) => {
    it.effect("holds no settings at first, and the configured ones are in force", () =>
      Effect.gen(function* () {
        yield* start
        expect(yield* (yield* RateLimitStore).settings).toBeUndefined()
        expect((yield* send(9)).taken).toBe(4)
      }).pipe(Effect.provide(backend.ports({ rateLimit: limit(4, 60) }))),
    )

    it.effect("puts settings in force from the next message on", () =>
      Effect.gen(function* () {
        const store = yield* RateLimitStore
        yield* start
        expect((yield* send(3)).taken).toBe(2)
        yield* store.apply(limit(5, 60), 1)
        expect(yield* store.settings).toEqual(limit(5, 60))
        // Three have been counted, so two more fit.
        expect((yield* send(3)).taken).toBe(2)
        expect((yield* send(9, "bob")).taken).toBe(5)
        yield* store.apply(limit(1, 60), 2)
        expect((yield* send(2, "cleo")).taken).toBe(1)
      }).pipe(Effect.provide(backend.ports({ rateLimit: limit(2, 60) }))),
    )

    it.effect("keeps the newer settings, by their position", () =>
      Effect.gen(function* () {
        const store = yield* RateLimitStore
        yield* store.apply(limit(5, 60), 7)
        yield* store.apply(limit(6, 61), 6)
        yield* store.apply(limit(8, 63), 7)
        expect(yield* store.settings).toEqual(limit(5, 60))
        yield* store.apply(limit(7, 62), 8)
        expect(yield* store.settings).toEqual(limit(7, 62))
        yield* (yield* CacheControl).wipe
        expect(yield* store.settings).toBeUndefined()
        yield* store.apply(limit(5, 60), 7)
        expect(yield* store.settings).toEqual(limit(5, 60))
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect("lets no running counter outlive a shorter window", () =>
      Effect.gen(function* () {
        const store = yield* RateLimitStore
        const { elapse } = yield* CacheControl
        yield* start
        yield* send(5, "ann")
        yield* send(5, "bob")
        yield* store.apply(limit(2, 10), 1)
        expect((yield* send(1, "ann")).wait).toBeLessThanOrEqual(10_000)
        yield* elapse("11 seconds")
        expect((yield* send(3, "ann")).taken).toBe(2)
        // Bob sent nothing meanwhile: his counter was shortened when the window was.
        expect((yield* send(3, "bob")).taken).toBe(2)
      }).pipe(Effect.provide(backend.ports({ rateLimit: limit(2, 3600) }))),
    )

    it.effect("does not lengthen running counters with the window", () =>
      Effect.gen(function* () {
        const store = yield* RateLimitStore
        const { elapse } = yield* CacheControl
        yield* start
        yield* send(5)
        yield* store.apply(limit(2, 3600), 1)
        expect((yield* send(1)).wait).toBeLessThanOrEqual(10_000)
        yield* elapse("11 seconds")
        expect((yield* send(3)).taken).toBe(2)
        expect((yield* send(1)).wait).toBeGreaterThan(3_500_000)
      }).pipe(Effect.provide(backend.ports({ rateLimit: limit(2, 10) }))),
    )

    it.effect.prop(
      "takes exactly the limit in every window, and tells a wait that is enough",
      {
        message_limit: fc.integer({ min: 1, max: 20 }),
        window_seconds: fc.integer({ min: 5, max: 100 }),
        sent: fc.array(fc.integer({ min: 1, max: 15 }), { minLength: 1, maxLength: 6 }),
      },
      ({ message_limit, window_seconds, sent }) =>
        Effect.gen(function* () {
          const { elapse } = yield* CacheControl
          yield* start
          for (let window = 0; window < 2; window++) {
            let left = message_limit
            let longestWait = 0
            for (const count of sent) {
              const { taken, wait } = yield* send(count)
              expect(taken).toBe(Math.min(left, count))
              expect(wait).toBeLessThanOrEqual(window_seconds * 1000)
              left -= taken
              longestWait = Math.max(longestWait, wait)
            }
            yield* elapse(longestWait === 0 ? `${window_seconds} seconds` : longestWait)
          }
        }).pipe(Effect.provide(backend.ports({ rateLimit: { message_limit, window_seconds } }))),
      { fastCheck: { numRuns: 20 } },
    )
  })
}
