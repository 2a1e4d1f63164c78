import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import {
  BatchPersisted,
  DaemonStarted,
  type Event,
  MessageQuarantined,
  QuarantineDiscarded,
  QuarantineReplayed,
} from "../../src/domain/Event.ts"
import type { NewQuarantineEntry } from "../../src/domain/Quarantine.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { MessageStore, type StoreTransaction } from "../../src/services/MessageStore.ts"
import { StoreSnapshot, type StoreView } from "../../src/services/StoreSnapshot.ts"
import { publicMessage, publicMessages, type StoreBackend } from "./StoreBackend.ts"

const transact = <A, E>(body: (transaction: StoreTransaction) => Effect.Effect<A, E>) =>
  Effect.flatMap(MessageStore, (store) => store.transaction(body))

const look = <A, E>(body: (view: StoreView) => Effect.Effect<A, E>) =>
  Effect.flatMap(StoreSnapshot, (snapshot) => snapshot.read(body, "10 seconds"))

const entry = (cacheId: number | null, text: string): NewQuarantineEntry => ({
  cacheId,
  reason: "wrong_shape",
  sqlstate: null,
  error: "must be an object",
  raw: Buffer.from(text),
})

const messageIds = (from: number, to: number) => publicMessages(from, to).map(({ message_id }) => message_id)

const everything = { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER }

const quarantined = (quarantineId: number): Event =>
  new MessageQuarantined({
    queue: "public",
    quarantine_id: quarantineId,
    cache_id: null,
    reason: "wrong_shape",
    sqlstate: null,
  })

const replayed = (quarantineId: number, messageId: string, addedRow?: boolean): Event =>
  new QuarantineReplayed({
    queue: "public",
    quarantine_id: quarantineId,
    message_id: messageId,
    corrected: true,
    ...(addedRow === undefined ? {} : { added_row: addedRow }),
  })

export const storeSnapshotContract = <R>(backend: StoreBackend<R>) =>
  layer(backend.environment, { excludeTestServices: true })(`StoreSnapshot: ${backend.name}`, (it) => {
    it.effect("sees everything as of one instant, whatever is committed meanwhile", () =>
      Effect.gen(function* () {
        yield* transact((transaction) => transaction.insert("public", publicMessages(1, 2)))
        const count = (view: StoreView) =>
          Effect.all([
            view.rowCount("public"),
            view.greatestCacheId("public"),
            Effect.map(view.events(0, 10), (events) => events.length),
            view.storedIds("public", messageIds(1, 3)),
          ])
        const store = yield* MessageStore
        yield* look((view) =>
          Effect.gen(function* () {
            const before = yield* count(view)
            expect(before).toEqual([2, 2, 0, messageIds(1, 2)])
            yield* store.transaction((transaction) =>
              Effect.zipRight(
                transaction.insert("public", publicMessages(3, 3)),
                transaction.journal([new DaemonStarted({ instance_id: "i", version: "v" })]),
              ),
            )
            expect(yield* count(view)).toEqual(before)
          }),
        )
        expect(yield* look(count)).toEqual([3, 3, 1, messageIds(1, 3)])
      }).pipe(Effect.provide(backend.ports)),
    )

    it.effect("reads the journal as the journal is read", () =>
      Effect.gen(function* () {
        const journal = yield* EventJournal
        yield* transact((transaction) =>
          transaction.journal([quarantined(1), quarantined(2), replayed(2, "x", false)]),
        )
        const all = yield* journal.read(0, 10)
        expect(all.length).toBe(3)
        expect(yield* look((view) => view.events(0, 10))).toEqual(all)
        expect(yield* look((view) => view.events(all[0]!.position, 1))).toEqual([all[1]])
      }).pipe(Effect.provide(backend.ports)),
    )

    it.effect("counts rows by their ids, without those that replays added", () =>
      Effect.gen(function* () {
        yield* transact((transaction) =>
          Effect.zipRight(
            transaction.insert("public", [
              ...publicMessages(1, 6),
              publicMessage(7, { cache_id: 2 ** 53 - 1 }),
            ]),
            transaction.journal([
              replayed(1, messageIds(2, 2)[0]!),
              replayed(2, messageIds(3, 3)[0]!, false),
            ]),
          ),
        )
        const ranges = [{ from: 1, to: 3 }, { from: 4, to: 4 }, { from: 7, to: 100 }, everything]
        expect(yield* look((view) => view.countRows("public", ranges))).toEqual([2, 1, 0, 6])
        expect(yield* look((view) => view.countRows("private", [everything]))).toEqual([0])
        expect(yield* look((view) => view.countRows("public", []))).toEqual([])
        expect(yield* look((view) => view.rowsWithin("public", { from: 1, to: 3 }, 10))).toEqual([
          { message_id: messageIds(1, 1)[0], cache_id: 1 },
          { message_id: messageIds(3, 3)[0], cache_id: 3 },
        ])
        expect((yield* look((view) => view.rowsWithin("public", everything, 2))).length).toBe(2)
      }).pipe(Effect.provide(backend.ports)),
    )

    it.effect("finds ids that neither a row nor a quarantined entry has", () =>
      Effect.gen(function* () {
        yield* transact((transaction) =>
          Effect.zipRight(
            transaction.insert("public", [...publicMessages(1, 2), ...publicMessages(5, 5)]),
            transaction.quarantine("public", [entry(4, "a")]),
          ),
        )
        const missing = (limit: number) =>
          look((view) => view.missingWithin("public", { from: 1, to: 8 }, limit))
        expect(yield* missing(10)).toEqual([3, 6, 7, 8])
        expect(yield* missing(2)).toEqual([3, 6])
        expect(yield* look((view) => view.missingWithin("private", { from: 5, to: 5 }, 9))).toEqual([5])
      }).pipe(Effect.provide(backend.ports)),
    )

    it.effect("compares the quarantine with what the journal tells of it", () =>
      Effect.gen(function* () {
        const ids = yield* transact((transaction) =>
          Effect.gen(function* () {
            const given = (yield* transaction.quarantine(
              "public",
              ["a", "b", "c", "d", "e"].map((text) => entry(1, text)),
            )) as ReadonlyArray<number>
            yield* transaction.resolveQuarantineEntry(given[1]!, "replayed")
            yield* transaction.resolveQuarantineEntry(given[2]!, "discarded")
            yield* transaction.journal([
              ...given.slice(0, 4).map(quarantined),
              replayed(given[1]!, messageIds(1, 1)[0]!),
              new QuarantineDiscarded({ queue: "public", quarantine_id: given[2]! }),
              replayed(given[3]!, messageIds(2, 2)[0]!),
              quarantined(1_000_000),
            ])
            return given
          }),
        )
        expect(yield* look((view) => view.quarantineTotals("public"))).toEqual({
          open: 3,
          replayed: 1,
          discarded: 1,
        })
        const differences = [
          { id: ids[3], held: "open", journalled: "replayed" },
          { id: ids[4], held: "open", journalled: null },
          { id: 1_000_000, held: null, journalled: "open" },
        ]
        expect(yield* look((view) => view.quarantineDifferences("public", 10))).toEqual({
          count: 3,
          differences,
        })
        expect(yield* look((view) => view.quarantineDifferences("public", 1))).toEqual({
          count: 3,
          differences: differences.slice(0, 1),
        })
        expect(yield* look((view) => view.quarantineDifferences("private", 10))).toEqual({
          count: 0,
          differences: [],
        })
      }).pipe(Effect.provide(backend.ports)),
    )

    it.effect("pages through open entries, and leaves out those that are too large", () =>
      Effect.gen(function* () {
        const ids = yield* transact((transaction) =>
          Effect.gen(function* () {
            const given = (yield* transaction.quarantine(
              "public",
              ["a", "b".repeat(100), "c", "d"].map((text) => entry(7, text)),
            )) as ReadonlyArray<number>
            yield* transaction.resolveQuarantineEntry(given[2]!, "discarded")
            yield* transaction.journal([
              new BatchPersisted({
                queue: "public",
                trigger: "drain",
                first_cache_id: null,
                last_cache_id: null,
                persisted: 0,
                duplicates: 0,
                quarantined: 4,
                duration_ms: 1,
              }),
            ])
            return given
          }),
        )
        const open = (after: number, limit: number) =>
          look((view) => view.openEntries("public", { after, limit, maximumBytes: 99 })).pipe(
            Effect.map((entries) => entries.map(({ id, raw }) => [id, Buffer.from(raw).toString()])),
          )
        expect(yield* open(0, 10)).toEqual([
          [ids[0], "a"],
          [ids[3], "d"],
        ])
        expect(yield* open(0, 1)).toEqual([[ids[0], "a"]])
        expect(yield* open(ids[0]!, 1)).toEqual([[ids[3], "d"]])
        const bytes = yield* look((view) => view.quarantinedBytes("public", [7, 8]))
        expect(bytes.map((raw) => Buffer.from(raw).length).toSorted()).toEqual([1, 1, 1, 100].toSorted())
        expect(yield* look((view) => view.quarantinedBytes("private", [7]))).toEqual([])
      }).pipe(Effect.provide(backend.ports)),
    )
  })
