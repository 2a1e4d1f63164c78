import { expect, layer } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Struct } from "effect"
import * as fc from "fast-check"
import { DaemonStarted, QuarantineReason } from "../../src/domain/Event.ts"
import { entryKey } from "../../src/domain/Entry.ts"
import { type HistoryScope, isBeyond, isInScope, nearestFirst } from "../../src/domain/History.ts"
import {
  type CachedMessage,
  type CachedPublicMessage,
  highestCountedCacheId,
  type QueueName,
} from "../../src/domain/Message.ts"
import type { NewQuarantineEntry, QuarantineEntry } from "../../src/domain/Quarantine.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { MessageStore, type StoreTransaction } from "../../src/services/MessageStore.ts"
import {
  cacheId,
  privateMessage,
  publicMessage as publicMessageArbitrary,
  storableText,
} from "../support/arbitraries.ts"
import {
  asStored,
  publicMessage,
  publicMessages,
  type StoreBackend,
  stored,
  type StoredMessage,
  type StorePorts,
} from "./StoreBackend.ts"

const transact = <A, E>(body: (transaction: StoreTransaction) => Effect.Effect<A, E>) =>
  Effect.flatMap(MessageStore, (store) => store.transaction(body))

const insert = (queue: QueueName, messages: ReadonlyArray<CachedMessage>) =>
  transact((transaction) => transaction.insert(queue, messages))

const entry = (text: string, changes: Partial<NewQuarantineEntry> = {}): NewQuarantineEntry => ({
  cacheId: 1,
  reason: "wrong_shape",
  sqlstate: null,
  error: "must be an object",
  raw: Buffer.from(text),
  ...changes,
})

const allEntries = Effect.flatMap(MessageStore, (store) => store.quarantineEntries({ limit: 1000 }))
const allEvents = Effect.flatMap(EventJournal, (journal) => journal.read(0, 1000))

/** Writes a little of everything. */
const writeEverything = (transaction: StoreTransaction) =>
  Effect.gen(function* () {
    yield* transaction.lockQueue("public")
    yield* transaction.insert("public", publicMessages(1, 3))
    yield* transaction.quarantine("public", [entry("x")])
    yield* transaction.journal([new DaemonStarted({ instance_id: "i", version: "v" })])
  })

const expectNothing = Effect.gen(function* () {
  expect(yield* stored("public")).toEqual([])
  expect(yield* allEntries).toEqual([])
  expect(yield* allEvents).toEqual([])
})

/** What PostgreSQL says about one column, and a value that it refuses there. */
const refusals: ReadonlyArray<readonly [what: string, sqlstate: RegExp, changes: object]> = [
  ["U+0000 in a text", /^22021$/, { message: "a\u0000b" }],
  ["U+0000 in a name", /^22021$/, { username: "\u0000" }],
  ["25 characters for a channel of 24", /^22001$/, { channel: "é".repeat(25) }],
  ["37 characters for an id of 36", /^22001$/, { owner_id: "😀".repeat(37) }],
  ["65 characters for a name of 64", /^22001$/, { username: "n".repeat(65) }],
  ["an id that is no UUID", /^22P02$/, { message_id: "not a uuid" }],
  ["a text for a time", /^22007$/, { authored_at: "tomorrow at noon" }],
  ["a day that does not exist", /^2200[78]$/, { authored_at: "2026-02-30T00:00:00Z" }],
  ["an offset of 16 hours", /^2200[79]$/, { authored_at: "2026-02-28T00:00:00+16:00" }],
]

const insertions = <R>(backend: StoreBackend<R>) => {
  layer(backend.environment, { excludeTestServices: true })(
    `MessageStore (insert): ${backend.name}`,
    (it) => {
      it.effect.prop(
        "stores the first message of each id, once, in order, and tells duplicates from conflicts",
        {
          batches: fc.array(
            fc.array(
              fc.record({
                id: fc.integer({ min: 1, max: 12 }),
                said: fc.constantFrom("one", "two"),
                cached: fc.integer({ min: 1, max: 1000 }),
              }),
              { maxLength: 15 },
            ),
            { maxLength: 5 },
          ),
        },
        ({ batches }) =>
          Effect.gen(function* () {
            const expected = new Map<number, CachedMessage>()
            for (const batch of batches) {
              const messages = batch.map(({ id, said, cached }) =>
                publicMessage(id, { cache_id: cached, message: said }),
              )
              const conflicts: Array<number> = []
              let inserted = 0
              for (const [index, { id, said }] of batch.entries()) {
                const first = expected.get(id)
                if (first === undefined) {
                  expected.set(id, messages[index]!)
                  inserted++
                } else if (first.message !== said) conflicts.push(index)
              }
              expect(yield* insert("public", messages)).toEqual({ inserted, conflicts, deleted: [] })
            }
            expect(yield* stored("public")).toEqual([...expected.values()].map(asStored))
            expect(yield* stored("private")).toEqual([])
          }).pipe(Effect.provide(backend.ports)),
        { fastCheck: { numRuns: 25 } },
      )

      it.effect.prop(
        "keeps whatever may stand in a queue",
        {
          ofPublic: fc.array(fc.tuple(cacheId, publicMessageArbitrary), { maxLength: 30 }),
          ofPrivate: fc.array(fc.tuple(cacheId, privateMessage), { maxLength: 30 }),
        },
        ({ ofPublic, ofPrivate }) =>
          Effect.gen(function* () {
            const queues = { public: ofPublic, private: ofPrivate }
            for (const queue of ["public", "private"] as const) {
              const messages = queues[queue].map(([cache_id, message]): CachedMessage => ({
                cache_id,
                ...message,
              }))
              expect(yield* insert(queue, messages)).toEqual({
                inserted: messages.length,
                conflicts: [],
                deleted: [],
              })
              expect(yield* insert(queue, messages)).toEqual({ inserted: 0, conflicts: [], deleted: [] })
              const withoutTime = (row: StoredMessage) => Struct.omit(row, "authoredAtMillis")
              expect((yield* stored(queue)).map(withoutTime)).toEqual(messages.map(asStored).map(withoutTime))
            }
          }).pipe(Effect.provide(backend.ports)),
        { fastCheck: { numRuns: 15 } },
      )

      it.effect.prop(
        "reads any range of the history in order, as far as the limit goes, and tells which queued ids are stored",
        {
          scope: fc.constantFrom<Array<HistoryScope>>(
            { queue: "public" },
            { queue: "public", channel: "a" },
            { queue: "private", userId: "a" },
          ),
          rows: fc.array(
            fc.record({
              cache_id: fc.integer({ min: 1, max: 12 }),
              names: fc.tuple(fc.constantFrom("a", "b"), fc.constantFrom("a", "b")),
            }),
            { maxLength: 25 },
          ),
          direction: fc.constantFrom("before" as const, "after" as const),
          from: fc.option(fc.tuple(fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 26 })), {
            nil: undefined,
          }),
          limit: fc.integer({ min: 1, max: 30 }),
          queued: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 10 }),
        },
        ({ scope, rows, direction, from, limit, queued }) =>
          Effect.gen(function* () {
            const idOf = (number: number) => publicMessage(number).message_id
            const messages = rows.map(({ cache_id, names: [owner_id, other] }, number): CachedMessage => {
              const { channel: _channel, ...said } = publicMessage(number) as CachedPublicMessage
              return scope.queue === "public"
                ? { ...said, cache_id, owner_id, channel: other }
                : { ...said, cache_id, owner_id, recipient_id: other, recipient: other }
            })
            yield* insert(scope.queue, messages)
            const position = from && { cache_id: from[0], message_id: idOf(from[1]) }
            const found = yield* (yield* MessageStore).history(
              scope,
              { direction, from: position },
              limit,
              queued.map(idOf),
            )
            const expected = messages
              .filter((message) => isInScope(scope, message))
              .filter((message) => position === undefined || isBeyond(direction, message, position))
              .sort(nearestFirst(direction))
            expect(found.messages).toEqual(expected.slice(0, limit))
            expect([...found.settled].sort()).toEqual(
              queued
                .filter((number) => number < messages.length)
                .map(idOf)
                .sort(),
            )
          }).pipe(Effect.provide(backend.ports)),
        { fastCheck: { numRuns: 40 } },
      )

      it.effect("reads the times of the history in UTC, to the millisecond unless they are finer", () =>
        Effect.gen(function* () {
          const times = [
            ["2026-03-01T12:00:00.120Z", "2026-03-01T12:00:00.120Z"],
            ["2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00.000Z"],
            ["2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00.123456Z"],
          ] as const
          yield* insert(
            "public",
            times.map(([authored_at], number) => publicMessage(number, { authored_at })),
          )
          const { messages } = yield* (yield* MessageStore).history(
            { queue: "public" },
            { direction: "after", from: { cache_id: 0, message_id: publicMessage(99).message_id } },
            10,
            [],
          )
          expect(messages.map(({ authored_at }) => Date.parse(authored_at))).toEqual(
            times.map(([, shown]) => Date.parse(shown)).slice(1),
          )
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("takes a message with another time for the same one", () =>
        Effect.gen(function* () {
          yield* insert("public", [publicMessage(1, { authored_at: "2026-03-01T12:00:00.5Z" })])
          expect(
            yield* insert("public", [publicMessage(1, { authored_at: "2026-03-02T12:00:00Z", cache_id: 9 })]),
          ).toEqual({ inserted: 0, conflicts: [], deleted: [] })
          expect(yield* stored("public")).toEqual([
            asStored(publicMessage(1, { authored_at: "2026-03-01T12:00:00.5Z" })),
          ])
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("finds a conflict in any column of either table", () =>
        Effect.gen(function* () {
          const { channel: _, ...rest } = publicMessage(1) as unknown as Record<string, unknown>
          const messages = {
            public: publicMessage(1),
            private: { ...rest, recipient_id: "bob", recipient: "Bob" } as unknown as CachedMessage,
          }
          for (const [queue, message] of Object.entries(messages) as Array<[QueueName, CachedMessage]>) {
            yield* insert(queue, [message])
            for (const column of Object.keys(message)) {
              if (column === "message_id" || column === "cache_id" || column === "authored_at") continue
              const other = { ...message, [column]: "other" } as CachedMessage
              expect(yield* insert(queue, [message, other, message])).toEqual({
                inserted: 0,
                conflicts: [1],
                deleted: [],
              })
            }
          }
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect.each(refusals)(
        "refuses %s, adds nothing of that batch, and goes on",
        ([, sqlstate, changes]) =>
          Effect.gen(function* () {
            const bad = publicMessage(2, changes)
            const error = yield* transact(
              Effect.fnUntraced(function* (transaction) {
                yield* transaction.insert("public", [publicMessage(9)])
                const refused = yield* Effect.flip(
                  transaction.insert("public", [publicMessage(1), bad, publicMessage(3)]),
                )
                yield* transaction.insert("public", [publicMessage(3)])
                yield* transaction.quarantine("public", [entry("bad")])
                return refused
              }),
            )
            expect(error).toMatchObject({ _tag: "RowsRefused", sqlstate: expect.stringMatching(sqlstate) })
            expect((yield* stored("public")).map(({ cache_id }) => cache_id)).toEqual([9, 3])
            expect((yield* allEntries).length).toBe(1)
          }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("says nothing about a value that it refuses", () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(
            insert("public", [publicMessage(1, { message_id: "secret", authored_at: "secret" })]),
          )
          expect(String(Object.values(error))).not.toContain("secret")
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("cuts spaces that a column has no room for, and stores U+FFFD for a lone surrogate", () =>
        Effect.gen(function* () {
          yield* insert("public", [publicMessage(1, { channel: `${"c".repeat(24)}  `, message: "a\ud800b" })])
          expect(yield* stored("public")).toMatchObject([{ channel: "c".repeat(24), message: "a\ufffdb" }])
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("stores each message once when several transactions insert it at the same time", () =>
        Effect.gen(function* () {
          const reports = yield* Effect.forEach(
            [publicMessages(1, 60), publicMessages(20, 80), publicMessages(1, 80)],
            (messages) => insert("public", messages),
            { concurrency: "unbounded" },
          )
          expect(reports.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(80)
          expect(reports.flatMap(({ conflicts }) => conflicts)).toEqual([])
          expect(new Set((yield* stored("public")).map(({ message_id }) => message_id)).size).toBe(80)
          expect((yield* stored("public")).length).toBe(80)
        }).pipe(Effect.provide(backend.ports)),
      )
    },
  )
}

const visibility = <R>(backend: StoreBackend<R>) => {
  layer(backend.environment, { excludeTestServices: true })(
    `MessageStore (transaction): ${backend.name}`,
    (it) => {
      it.effect("shows everything together when it has succeeded, and nothing before", () =>
        Effect.gen(function* () {
          const context = yield* Effect.context<StorePorts>()
          const result = yield* transact((transaction) =>
            writeEverything(transaction).pipe(
              Effect.zipRight(Effect.provide(expectNothing, context)),
              Effect.as("done"),
            ),
          )
          expect(result).toBe("done")
          expect(yield* stored("public")).toEqual(publicMessages(1, 3).map(asStored))
          expect((yield* allEntries).length).toBe(1)
          expect((yield* allEvents).length).toBe(1)
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("leaves nothing of a body that fails, and fails with its error", () =>
        Effect.gen(function* () {
          const error = yield* transact((transaction) =>
            writeEverything(transaction).pipe(Effect.zipRight(Effect.fail("no"))),
          ).pipe(Effect.flip)
          expect(error).toBe("no")
          yield* expectNothing
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("leaves nothing of a body that dies, and dies with its defect", () =>
        Effect.gen(function* () {
          const exit = yield* transact((transaction) =>
            writeEverything(transaction).pipe(Effect.zipRight(Effect.dieMessage("a defect"))),
          ).pipe(Effect.exit)
          expect(Exit.isFailure(exit) && Cause.isDieType(exit.cause)).toBe(true)
          yield* expectNothing
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("leaves nothing of a body that is interrupted, nor its locks", () =>
        Effect.gen(function* () {
          const written = yield* Deferred.make<void>()
          const running = yield* Effect.fork(
            transact((transaction) =>
              writeEverything(transaction).pipe(
                Effect.zipRight(Deferred.succeed(written, undefined)),
                Effect.zipRight(Effect.never),
              ),
            ),
          )
          yield* Deferred.await(written)
          const exit = yield* Fiber.interrupt(running)
          expect(Exit.isInterrupted(exit)).toBe(true)
          yield* expectNothing
          yield* transact(writeEverything)
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("does not commit after a failure that the body has caught", () =>
        Effect.gen(function* () {
          const error = yield* whileLocked(
            transact(
              Effect.fnUntraced(function* (transaction) {
                yield* transaction.insert("private", [])
                yield* transaction.quarantine("public", [entry("x")])
                yield* Effect.ignore(transaction.lockQueue("public"))
              }),
            ),
          ).pipe(Effect.flip)
          expect(error._tag).toBe("StoreUnavailable")
          yield* expectNothing
        }).pipe(Effect.provide(backend.ports)),
      )
    },
  )
}

/** Runs the effect while another transaction holds the lock of the public queue and of the quarantine entries. */
const whileLocked = <A, E, R>(effect: Effect.Effect<A, E, R>, entries: ReadonlyArray<number> = []) =>
  Effect.gen(function* () {
    const locked = yield* Deferred.make<void>()
    const mayEnd = yield* Deferred.make<void>()
    const holder = yield* Effect.fork(
      transact(
        Effect.fnUntraced(function* (transaction) {
          yield* transaction.lockQueue("public")
          yield* Effect.forEach(entries, transaction.lockQuarantineEntry, { discard: true })
          yield* Deferred.succeed(locked, undefined)
          yield* Deferred.await(mayEnd)
        }),
      ),
    )
    yield* Deferred.await(locked)
    const exit = yield* Effect.exit(effect)
    yield* Deferred.succeed(mayEnd, undefined)
    yield* Fiber.join(holder)
    return yield* exit
  })

const locks = <R>(backend: StoreBackend<R>) => {
  layer(backend.environment, { excludeTestServices: true })(`MessageStore (locks): ${backend.name}`, (it) => {
    const lockQueue = (queue: QueueName) => transact((transaction) => transaction.lockQueue(queue))

    it.effect(
      "keeps a queue's lock for one transaction until it ends, and says so within a second or two",
      () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(whileLocked(lockQueue("public")))
          expect(error).toMatchObject({ _tag: "StoreUnavailable", sqlstate: "55P03" })
          yield* whileLocked(lockQueue("private"))
          yield* lockQueue("public")
          yield* transact((transaction) =>
            Effect.all([transaction.lockQueue("public"), transaction.lockQueue("public")]),
          )
        }).pipe(Effect.provide(backend.ports)),
    )

    it.effect("hands a queue's lock to the one who waits", () =>
      Effect.gen(function* () {
        const order: Array<string> = []
        const locked = yield* Deferred.make<void>()
        const first = yield* Effect.fork(
          transact((transaction) =>
            transaction.lockQueue("public").pipe(
              Effect.zipRight(Deferred.succeed(locked, undefined)),
              // Long enough for the other one to come to wait.
              Effect.tap(() => transaction.insert("public", publicMessages(1, 5))),
              Effect.tap(() => Effect.sync(() => order.push("first"))),
            ),
          ),
        )
        yield* Deferred.await(locked)
        yield* transact((transaction) =>
          Effect.tap(transaction.lockQueue("public"), () => Effect.sync(() => order.push("second"))),
        )
        yield* Fiber.join(first)
        expect(order).toEqual(["first", "second"])
      }).pipe(Effect.provide(backend.ports)),
    )

    it.effect("keeps a quarantine entry for the one who resolves it", () =>
      Effect.gen(function* () {
        const [one, other] = yield* transact((transaction) =>
          transaction.quarantine("public", [entry("a"), entry("b")]),
        )
        const resolve = (id: number) =>
          transact(
            Effect.fnUntraced(function* (transaction) {
              const locked = yield* transaction.lockQuarantineEntry(id)
              yield* transaction.resolveQuarantineEntry(id, "replayed")
              return { before: locked, after: yield* transaction.lockQuarantineEntry(id) }
            }),
          )
        expect(yield* Effect.flip(whileLocked(resolve(one!), [one!]))).toMatchObject({
          _tag: "StoreUnavailable",
          sqlstate: "55P03",
        })
        const { before, after } = yield* whileLocked(resolve(one!), [other!])
        expect(before).toMatchObject({ id: one, status: "open", resolved_at: null })
        expect(after).toEqual({ ...before, status: "replayed", resolved_at: expect.stringMatching(/Z$/) })
        expect((yield* allEntries).map(({ status }) => status)).toEqual(["replayed", "open"])
      }).pipe(Effect.provide(backend.ports)),
    )
  })
}

const newEntry: fc.Arbitrary<NewQuarantineEntry> = fc.record({
  cacheId: fc.option(cacheId, { nil: null }),
  reason: fc.constantFrom(...QuarantineReason.literals),
  sqlstate: fc.constantFrom(null, "22021", "23514"),
  error: storableText(200),
  raw: fc.uint8Array({ maxLength: 300 }),
})

/** Of different bytes: an entry that is quarantined already is passed over. */
const newEntries = fc.uniqueArray(newEntry, { maxLength: 12, selector: ({ raw }) => entryKey(raw) })

const quarantine = <R>(backend: StoreBackend<R>) => {
  layer(backend.environment, { excludeTestServices: true })(
    `MessageStore (quarantine): ${backend.name}`,
    (it) => {
      it.effect.prop(
        "gives back any bytes and every word about them, in order, in pages and by filter",
        {
          ofPublic: newEntries,
          ofPrivate: newEntries,
          limit: fc.integer({ min: 1, max: 10 }),
        },
        ({ ofPublic, ofPrivate, limit }) =>
          Effect.gen(function* () {
            const store = yield* MessageStore
            const ids = yield* transact((transaction) =>
              Effect.all({
                public: transaction.quarantine("public", ofPublic),
                private: transaction.quarantine("private", ofPrivate),
              }),
            )
            const expected = [
              ...ofPublic.map((given, index) => ({ id: ids.public[index]!, queue: "public", ...given })),
              ...ofPrivate.map((given, index) => ({ id: ids.private[index]!, queue: "private", ...given })),
            ].map(({ cacheId: cache_id, ...rest }) => ({
              ...rest,
              cache_id,
              status: "open",
              resolved_at: null,
            }))
            const all = yield* allEntries
            expect(all.map((row) => Struct.omit(row, "quarantined_at"))).toEqual(expected)
            const pages: Array<QuarantineEntry> = []
            while (true) {
              const page = yield* store.quarantineEntries({ after: pages.at(-1)?.id, limit })
              pages.push(...page)
              if (page.length < limit) break
            }
            expect(pages).toEqual(all)
            for (const queue of ["public", "private"] as const) {
              expect(yield* store.quarantineEntries({ queue, status: "open", limit: 100 })).toEqual(
                all.filter((row) => row.queue === queue),
              )
            }
            expect(yield* store.quarantineEntries({ status: "discarded", limit: 100 })).toEqual([])
            for (const row of all) expect(yield* store.quarantineEntry(row.id)).toEqual(row)
          }).pipe(Effect.provide(backend.ports)),
        { fastCheck: { numRuns: 15 } },
      )

      it.effect("keeps each entry once, whatever became of it, and says which ones it has by their ids", () =>
        Effect.gen(function* () {
          const [first] = yield* transact((transaction) =>
            transaction.quarantine("public", [entry("a", { cacheId: 7 })]),
          )
          yield* transact((transaction) =>
            transaction
              .lockQuarantineEntry(first!)
              .pipe(Effect.zipRight(transaction.resolveQuarantineEntry(first!, "discarded"))),
          )
          const again = yield* transact((transaction) =>
            Effect.all({
              public: transaction.quarantine("public", [entry("a", { cacheId: 7 }), entry("b"), entry("b")]),
              private: transaction.quarantine("private", [entry("a", { cacheId: 7 })]),
              known: transaction.quarantinedBytes("public", [6, 7, 7]),
              unknown: transaction.quarantinedBytes("public", [8]),
              none: transaction.quarantinedBytes("public", []),
            }),
          )
          expect(again.public.map((id) => id === undefined)).toEqual([true, false, true])
          expect(again.private.map((id) => id === undefined)).toEqual([false])
          expect(again.known.map((raw) => Buffer.from(raw).toString())).toEqual(["a"])
          expect([again.unknown, again.none]).toEqual([[], []])
          expect((yield* allEntries).map(({ id }) => id)).toEqual([first, again.public[1], again.private[0]])
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("finds what is stored under another id, by content, time and position", () =>
        Effect.gen(function* () {
          const authored_at = "2026-03-01T12:00:00.500Z"
          const said = (id: number, changes: Partial<CachedMessage> = {}) =>
            publicMessage(id, { cache_id: 7, message: "said", authored_at, ...changes })
          yield* insert("public", [said(1), said(2, { cache_id: 8 })])
          const twins = (sameCacheId: boolean, message: CachedMessage) =>
            transact((transaction) => transaction.storedTwins("public", [message], sameCacheId))
          const [one, two] = [said(1).message_id, said(2).message_id]
          const later = { authored_at: "2026-03-01T12:00:01.400Z" }
          expect(yield* twins(true, said(3))).toEqual([one])
          expect(yield* twins(true, said(3, { cache_id: 8 }))).toEqual([two])
          expect(yield* twins(true, said(3, later))).toEqual([one])
          expect(yield* twins(true, said(3, { authored_at: "2026-03-01T12:00:01.600Z" }))).toEqual([
            undefined,
          ])
          expect(yield* twins(true, said(3, { cache_id: 9 }))).toEqual([undefined])
          expect(yield* twins(true, said(3, { message: "other" }))).toEqual([undefined])
          expect(yield* twins(false, said(2, { cache_id: 9 }))).toEqual([two])
          expect(yield* twins(false, said(3, later))).toEqual([undefined])
          expect(
            yield* transact((transaction) =>
              transaction.storedTwins("public", [said(3), said(4, later)], false),
            ),
          ).toEqual([one, undefined])
          expect(yield* transact((transaction) => transaction.storedTwins("public", [], true))).toEqual([])
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("keeps an entry whose error text cannot be stored", () =>
        Effect.gen(function* () {
          yield* transact((transaction) =>
            transaction.quarantine("public", [entry("x", { error: "a\u0000b\ud800c" })]),
          )
          expect(yield* allEntries).toMatchObject([{ error: "a\ufffdb\ufffdc" }])
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect.each([4711, -1, 0.5, 1e300, Number.NaN])("has no entry %s", (id) =>
        Effect.gen(function* () {
          const store = yield* MessageStore
          expect((yield* Effect.flip(store.quarantineEntry(id)))._tag).toBe("QuarantineEntryNotFound")
          const error = yield* Effect.flip(transact((transaction) => transaction.lockQuarantineEntry(id)))
          expect(error._tag).toBe("QuarantineEntryNotFound")
        }).pipe(Effect.provide(backend.ports)),
      )
    },
  )
}

const greatestCacheIds = <R>(backend: StoreBackend<R>) => {
  layer(backend.environment, { excludeTestServices: true })(
    `MessageStore (cache_id): ${backend.name}`,
    (it) => {
      it.effect("knows the greatest one of each queue, also of what the transaction has just added", () =>
        Effect.gen(function* () {
          const store = yield* MessageStore
          const greatest = Effect.all([store.greatestCacheId("public"), store.greatestCacheId("private")])
          expect(yield* greatest).toEqual([0, 0])
          const inside = yield* transact(
            Effect.fnUntraced(function* (transaction) {
              const before = yield* transaction.lockQueue("public")
              yield* transaction.insert("public", [publicMessage(7), publicMessage(3)])
              yield* transaction.quarantine("public", [entry("x", { cacheId: 50 })])
              return [before, yield* transaction.lockQueue("public")]
            }),
          )
          // A quarantined message is none that is stored, but its id has been given.
          expect(inside).toEqual([0, 50])
          expect(yield* greatest).toEqual([50, 0])
          // No counter gives an id above the limit: it was put into the queue by hand.
          yield* insert("public", [
            publicMessage(8, { cache_id: highestCountedCacheId }),
            publicMessage(9, { cache_id: highestCountedCacheId + 1 }),
          ])
          yield* transact((transaction) =>
            transaction.quarantine("private", [
              entry("x", { cacheId: null }),
              entry("y", { cacheId: Number.MAX_SAFE_INTEGER }),
            ]),
          )
          expect(yield* greatest).toEqual([highestCountedCacheId, 0])
        }).pipe(Effect.provide(backend.ports)),
      )
    },
  )
}

const privateMessage1 = {
  ...Struct.omit(publicMessage(1) as unknown as Record<string, unknown>, "channel"),
  recipient_id: "bob",
  recipient: "Bob",
} as unknown as CachedMessage

const deletions = <R>(backend: StoreBackend<R>) => {
  layer(backend.environment, { excludeTestServices: true })(
    `MessageStore (deletion): ${backend.name}`,
    (it) => {
      const idOf = (number: number) => publicMessage(number).message_id
      const deleteMessage = (queue: QueueName, messageId: string) =>
        transact((transaction) => transaction.deleteMessage(queue, messageId))

      it.effect("deletes the row, tells once that it is new, and always whose caches show the message", () =>
        Effect.gen(function* () {
          yield* insert("public", publicMessages(1, 2))
          yield* insert("private", [privateMessage1])
          expect(yield* deleteMessage("public", idOf(1))).toEqual({ isNew: true, shownTo: ["general"] })
          expect(yield* deleteMessage("public", idOf(1))).toEqual({ isNew: false, shownTo: ["general"] })
          expect((yield* stored("public")).map(({ message_id }) => message_id)).toEqual([idOf(2)])
          // The same id in the other queue is another message.
          expect((yield* stored("private")).length).toBe(1)
          expect(yield* deleteMessage("private", idOf(1))).toEqual({ isNew: true, shownTo: ["ann", "bob"] })
          expect(yield* deleteMessage("private", idOf(1))).toEqual({ isNew: false, shownTo: ["ann", "bob"] })
          expect(yield* stored("private")).toEqual([])
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("never takes a message that was deleted, also before it was ever seen", () =>
        Effect.gen(function* () {
          expect(yield* deleteMessage("public", idOf(2))).toEqual({ isNew: true, shownTo: [] })
          yield* insert("public", [publicMessage(3)])
          yield* deleteMessage("public", idOf(3))
          const again = [
            publicMessage(1),
            publicMessage(2),
            publicMessage(3, { message: "other" }),
            publicMessage(2),
            publicMessage(1, { message: "other" }),
          ]
          expect(yield* insert("public", again)).toEqual({ inserted: 1, conflicts: [4], deleted: [1, 2, 3] })
          expect(yield* insert("public", [publicMessage(2)])).toEqual({
            inserted: 0,
            conflicts: [],
            deleted: [0],
          })
          expect((yield* stored("public")).map(({ cache_id }) => cache_id)).toEqual([1])
          expect(yield* insert("private", [{ ...privateMessage1, message_id: idOf(2) }])).toMatchObject({
            inserted: 1,
          })
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("leaves nothing of a deletion whose transaction fails", () =>
        Effect.gen(function* () {
          yield* insert("public", [publicMessage(1)])
          yield* transact((transaction) =>
            transaction.deleteMessage("public", idOf(1)).pipe(Effect.zipRight(Effect.fail("no"))),
          ).pipe(Effect.flip)
          expect((yield* stored("public")).length).toBe(1)
          expect(yield* deleteMessage("public", idOf(1))).toMatchObject({ isNew: true })
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("waits for an insertion that is not committed, without which it could not see the row", () =>
        Effect.gen(function* () {
          const inserted = yield* Deferred.make<void>()
          const mayEnd = yield* Deferred.make<void>()
          const inserting = yield* Effect.fork(
            transact((transaction) =>
              transaction
                .insert("public", [publicMessage(1)])
                .pipe(
                  Effect.zipRight(Deferred.succeed(inserted, undefined)),
                  Effect.zipRight(Deferred.await(mayEnd)),
                ),
            ),
          )
          yield* Deferred.await(inserted)
          expect(yield* Effect.flip(deleteMessage("public", idOf(1)))).toMatchObject({
            _tag: "StoreUnavailable",
            sqlstate: "55P03",
          })
          yield* Deferred.succeed(mayEnd, undefined)
          yield* Fiber.join(inserting)
          expect((yield* stored("public")).length).toBe(1)
          expect(yield* deleteMessage("public", idOf(1))).toMatchObject({ isNew: true })
          expect(yield* stored("public")).toEqual([])
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect("has an insertion wait that would commit after it", () =>
        Effect.gen(function* () {
          const deleted = yield* Deferred.make<void>()
          const mayEnd = yield* Deferred.make<void>()
          const deleting = yield* Effect.fork(
            transact((transaction) =>
              transaction
                .deleteMessage("public", idOf(1))
                .pipe(
                  Effect.zipRight(Deferred.succeed(deleted, undefined)),
                  Effect.zipRight(Deferred.await(mayEnd)),
                ),
            ),
          )
          yield* Deferred.await(deleted)
          const begun = yield* Deferred.make<void>()
          const inserting = yield* Effect.fork(
            transact((transaction) =>
              Deferred.succeed(begun, undefined).pipe(
                Effect.zipRight(transaction.insert("public", [publicMessage(1)])),
              ),
            ),
          )
          yield* Deferred.await(begun)
          yield* Deferred.succeed(mayEnd, undefined)
          yield* Fiber.join(deleting)
          expect(yield* Fiber.join(inserting)).toEqual({ inserted: 0, conflicts: [], deleted: [0] })
        }).pipe(Effect.provide(backend.ports)),
      )

      it.effect.prop(
        "insertions and deletions at the same time: nothing that was deleted is stored in the end",
        { ids: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }) },
        ({ ids }) =>
          Effect.gen(function* () {
            const retried = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
              Effect.retry(effect, { while: ({ _tag }) => _tag === "StoreUnavailable" })
            yield* Effect.all(
              [
                retried(insert("public", publicMessages(1, 8))),
                retried(insert("public", publicMessages(5, 12))),
                Effect.forEach(ids, (id) => retried(deleteMessage("public", idOf(id))), {
                  concurrency: 3,
                  discard: true,
                }),
              ],
              { concurrency: "unbounded" },
            )
            const left = new Set((yield* stored("public")).map(({ message_id }) => message_id))
            expect([...left].sort()).toEqual(
              publicMessages(1, 12)
                .map(({ message_id }) => message_id)
                .filter((messageId) => !ids.some((id) => idOf(id) === messageId)),
            )
          }).pipe(Effect.provide(backend.ports)),
        { fastCheck: { numRuns: 15 } },
      )
    },
  )
}

export const messageStoreContract = <R>(backend: StoreBackend<R>) => {
  deletions(backend)
  insertions(backend)
  visibility(backend)
  locks(backend)
  quarantine(backend)
  greatestCacheIds(backend)
}
