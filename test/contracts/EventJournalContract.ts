import { expect, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as fc from "fast-check"
import { DaemonStarted, type Event, FlushFailed, type RecordedEvent } from "../../src/domain/Event.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { event } from "../support/arbitraries.ts"
import type { StoreBackend } from "./StoreBackend.ts"

const append = (events: ReadonlyArray<Event>) =>
  Effect.flatMap(MessageStore, (store) => store.transaction((transaction) => transaction.journal(events)))

const read = (after: number, limit: number) =>
  Effect.flatMap(EventJournal, (journal) => journal.read(after, limit))

const eventsOf = (recorded: ReadonlyArray<RecordedEvent>) => recorded.map((row) => row.event)

const started = (version: string) => new DaemonStarted({ instance_id: "instance", version })

const versions = (recorded: ReadonlyArray<RecordedEvent>) =>
  eventsOf(recorded).map((one) => (one._tag === "DaemonStarted" ? one.version : one._tag))

export const eventJournalContract = <R>(backend: StoreBackend<R>) => {
  layer(backend.environment, { excludeTestServices: true })(`EventJournal: ${backend.name}`, (it) => {
    it.effect.prop(
      "gives back what was written, in order, in pages of any size",
      {
        batches: fc.array(fc.array(event, { maxLength: 20 }), { maxLength: 4 }),
        limit: fc.integer({ min: 1, max: 30 }),
      },
      ({ batches, limit }) =>
        Effect.gen(function* () {
          yield* Effect.forEach(batches, append, { discard: true })
          const expected = batches.flat()
          const all = yield* read(0, 1000)
          expect(eventsOf(all)).toEqual(expected)
          const pages: Array<RecordedEvent> = []
          while (true) {
            const page = yield* read(pages.at(-1)?.position ?? 0, limit)
            expect(page.length).toBe(Math.min(limit, expected.length - pages.length))
            pages.push(...page)
            if (page.length < limit) break
          }
          expect(pages).toEqual(all)
          for (const [index, { position, recorded_at }] of all.entries()) {
            expect(position).toBeGreaterThan(all[index - 1]?.position ?? 0)
            expect(recorded_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z$/)
          }
        }).pipe(Effect.provide(backend.ports)),
      { fastCheck: { numRuns: 20 } },
    )

    it.effect("writes U+FFFD for what cannot be stored, so that an odd text never stops the journal", () =>
      Effect.gen(function* () {
        const odd = new FlushFailed({
          queue: "public",
          reason: "a\u0000b\ud800c",
          attempts: 1,
          started_at: "2026-03-01T12:00:00Z",
          duration_ms: 0.1,
        })
        yield* append([odd])
        expect(eventsOf(yield* read(0, 10))).toEqual([new FlushFailed({ ...odd, reason: "a�b�c" })])
      }).pipe(Effect.provide(backend.ports)),
    )

    it.effect("holds nothing of a transaction that failed", () =>
      Effect.gen(function* () {
        const store = yield* MessageStore
        yield* append([started("1")])
        yield* store
          .transaction((transaction) =>
            transaction.journal([started("2")]).pipe(Effect.zipRight(Effect.fail("no"))),
          )
          .pipe(Effect.flip)
        yield* append([started("3")])
        expect(versions(yield* read(0, 10))).toEqual(["1", "3"])
      }).pipe(Effect.provide(backend.ports)),
    )

    it.effect("lets a second writer wait, so that its events come after those that it waited for", () =>
      Effect.gen(function* () {
        const store = yield* MessageStore
        const written = yield* Deferred.make<void>()
        const mayGoOn = yield* Deferred.make<void>()
        const first = yield* Effect.fork(
          store.transaction(
            Effect.fnUntraced(function* (transaction) {
              yield* transaction.journal([started("1")])
              yield* Deferred.succeed(written, undefined)
              yield* Deferred.await(mayGoOn)
              yield* transaction.journal([started("2")])
            }),
          ),
        )
        yield* Deferred.await(written)
        const second = yield* Effect.fork(append([started("3")]))
        expect(yield* read(0, 10)).toEqual([])
        yield* Deferred.succeed(mayGoOn, undefined)
        yield* Fiber.join(first)
        yield* Fiber.join(second)
        expect(versions(yield* read(0, 10))).toEqual(["1", "2", "3"])
      }).pipe(Effect.provide(backend.ports)),
    )

    it.effect(
      "shows a reader who goes on from where it was every event, whoever writes at the same time",
      () =>
        Effect.gen(function* () {
          const writers = Array.from({ length: 6 }, (_, writer) =>
            Effect.forEach([1, 2, 3, 4, 5], (turn) =>
              append([started(`${writer}.${turn}.a`), started(`${writer}.${turn}.b`)]),
            ),
          )
          const writing = yield* Effect.fork(Effect.all(writers, { concurrency: "unbounded" }))
          const seen: Array<RecordedEvent> = []
          while (seen.length < 60) {
            seen.push(...(yield* read(seen.at(-1)?.position ?? 0, 7)))
          }
          yield* Fiber.join(writing)
          expect(seen).toEqual(yield* read(0, 100))
        }).pipe(Effect.provide(backend.ports)),
    )
  })
}
