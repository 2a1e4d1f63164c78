/** The flush protocol with its steps interleaved, repeated and cut off, on memory and on real servers. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer as LayerType, Layer, Logger, LogLevel, type Scope } from "effect"
import { RowsRefused } from "../../src/domain/Errors.ts"
import type { FlushTrigger } from "../../src/domain/Event.ts"
import * as CacheIdCounterLayer from "../../src/layers/CacheIdCounter.ts"
import * as CacheMemory from "../../src/layers/CacheMemory.ts"
import * as EventJournalPostgres from "../../src/layers/EventJournalPostgres.ts"
import * as FlushBatch from "../../src/layers/flushBatch.ts"
import * as FlushQueueValkey from "../../src/layers/FlushQueueValkey.ts"
import * as JournalStateLayer from "../../src/layers/JournalState.ts"
import * as MessageCacheValkey from "../../src/layers/MessageCacheValkey.ts"
import * as MessageStoreMemory from "../../src/layers/MessageStoreMemory.ts"
import * as MessageStorePostgres from "../../src/layers/MessageStorePostgres.ts"
import * as Postgres from "../../src/layers/postgres/Postgres.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Valkey from "../../src/layers/valkey/Valkey.ts"
import type { EventJournal } from "../../src/services/EventJournal.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { JournalState } from "../../src/services/JournalState.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { freshDatabase, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

type Backend = FlushQueue | MessageCache | MessageStore | EventJournal

const settings = { rateLimit: { message_limit: 1_000_000, window_seconds: 60 } }

const memory = Layer.mergeAll(
  CacheMemory.layer.pipe(Layer.provide(SettingsConfig.layer(settings))),
  MessageStoreMemory.layer,
)

const servers = Layer.unwrapEffect(
  Effect.map(uniqueKeyPrefix, (keyPrefix) => {
    const configured = SettingsConfig.layer({ ...settings, keyPrefix })
    return Layer.mergeAll(
      Layer.merge(FlushQueueValkey.layer, MessageCacheValkey.layer).pipe(
        Layer.provide(Valkey.layer),
        Layer.provide(Layer.merge(configured, valkeyShared)),
      ),
      Layer.merge(MessageStorePostgres.layer, EventJournalPostgres.layer).pipe(
        Layer.provide(Postgres.layer),
        Layer.provide(freshDatabase),
      ),
    )
  }),
)

/** A store whose advisory lock locks nothing. */
const withoutLock = Layer.effect(
  MessageStore,
  Effect.map(MessageStore, (store) =>
    MessageStore.of({
      ...store,
      transaction: (body) =>
        store.transaction((transaction) => body({ ...transaction, lockQueue: store.greatestCacheId })),
    }),
  ),
)

const queueMessages = (count: number) =>
  Effect.gen(function* () {
    const cache = yield* MessageCache
    const queue = yield* FlushQueue
    yield* queue.raiseCounter("public", 0)
    yield* cache.append(
      "public",
      Array.from({ length: count }, (_, index) => ({
        payload: JSON.stringify({
          message_id: `00000000-0000-7000-8000-${String(index).padStart(12, "0")}`,
          owner_id: "1",
          username: "ada",
          channel: "general",
          message: `number ${index}`,
          authored_at: "2026-03-01T12:00:00Z",
        }),
        ownerId: "1",
      })),
    )
  })

const limit = { entries: 7, bytes: 1_000_000 }
const trigger: FlushTrigger = "request"

const totals = Effect.flatMap(JournalState, ({ refresh }) => refresh).pipe(
  Effect.map(({ state }) => state.queues.public.flush),
  Effect.provide(JournalStateLayer.layer),
)

/** An entry that somebody put into the queue by hand. */
const forged = (cacheId: string) =>
  Buffer.from(
    `{"cache_id":${cacheId},"data":{"message_id":"ffffffff-0000-7000-8000-000000000000","owner_id":"1","username":"eve","channel":"general","message":"forged","authored_at":"2026-03-01T12:00:00Z"}}`,
  )

const suite = <E>(name: string, backend: LayerType.Layer<Backend, E>) =>
  describe(`flushBatch on ${name}`, () => {
    const test = <F>(title: string, body: Effect.Effect<void, F, Backend | Scope.Scope>) =>
      it.scopedLive(title, () =>
        body.pipe(Effect.provide(backend), Logger.withMinimumLogLevel(LogLevel.None)),
      )

    test(
      "several flushers without the lock store everything once and leave nothing",
      Effect.gen(function* () {
        yield* queueMessages(200)
        const queue = yield* FlushQueue
        const flushBatch = yield* FlushBatch.make.pipe(
          Effect.provide(Layer.merge(CacheIdCounterLayer.layer, withoutLock)),
        )
        const workOff = flushBatch("public", trigger, limit).pipe(
          // Waiting for a row of the other flusher may end in a timeout or a deadlock: then it is tried again.
          Effect.retry({ while: (error) => error._tag === "StoreUnavailable" }),
          Effect.repeat({ until: ({ entries }) => entries === 0 }),
        )
        yield* Effect.all([workOff, workOff, workOff], { concurrency: "unbounded" })
        assert.strictEqual(yield* queue.length("public"), 0)
        assert.strictEqual((yield* totals).persisted, 200)
      }),
    )

    test(
      "a flusher that was overtaken acknowledges late, and removes nothing that is not stored",
      Effect.gen(function* () {
        yield* queueMessages(20)
        const queue = yield* FlushQueue
        const flushBatch = yield* FlushBatch.make.pipe(Effect.provide(CacheIdCounterLayer.layer))
        const overtaken = yield* queue.head("public", limit)
        yield* flushBatch("public", trigger, limit)
        assert.strictEqual(yield* queue.acknowledge("public", overtaken), 0)
        assert.strictEqual(yield* queue.length("public"), 13)
        yield* flushBatch("public", trigger, { ...limit, entries: 100 })
        assert.strictEqual((yield* totals).persisted, 20)
      }),
    )

    test(
      "a batch is read ahead once, and again only where it does not stand at the head when its turn comes",
      Effect.gen(function* () {
        yield* queueMessages(35)
        const queue = yield* FlushQueue
        const read: Array<number> = []
        const counting = FlushQueue.of({
          ...queue,
          head: (name, bounds, expected) =>
            Effect.tap(queue.head(name, bounds, expected), (entries) =>
              Effect.sync(() => read.push(entries === expected ? 0 : entries.length)),
            ),
        })
        const flushBatch = yield* FlushBatch.make.pipe(
          Effect.provide(CacheIdCounterLayer.layer),
          Effect.provideService(FlushQueue, counting),
        )
        const flush = flushBatch("public", trigger, limit)
        yield* flush
        yield* flush
        // Another flusher takes what was read ahead.
        yield* queue.acknowledge("public", yield* queue.head("public", limit))
        yield* flush
        yield* flush
        assert.deepStrictEqual(read, [7, 0, 7, 0])
        assert.strictEqual(yield* queue.length("public"), 0)
        assert.strictEqual((yield* totals).persisted, 28)
      }),
    )

    test(
      "an acknowledgement that is lost costs a repetition that adds no row",
      Effect.gen(function* () {
        yield* queueMessages(5)
        const queue = yield* FlushQueue
        const deaf = FlushQueue.of({ ...queue, acknowledge: () => Effect.succeed(0) })
        const unacknowledged = yield* FlushBatch.make.pipe(
          Effect.provide(CacheIdCounterLayer.layer),
          Effect.provideService(FlushQueue, deaf),
        )
        const flushBatch = yield* FlushBatch.make.pipe(Effect.provide(CacheIdCounterLayer.layer))
        assert.deepInclude(yield* unacknowledged("public", trigger, limit), { persisted: 5, duplicates: 0 })
        assert.deepInclude(yield* unacknowledged("public", trigger, limit), { persisted: 0, duplicates: 5 })
        assert.deepInclude(yield* flushBatch("public", trigger, limit), { persisted: 0, duplicates: 5 })
        assert.strictEqual(yield* queue.length("public"), 0)
        assert.deepInclude(yield* totals, { persisted: 5, duplicates: 10 })
      }),
    )

    test(
      "an entry with the highest id there can be is stored, and does not use up the ids of the others",
      Effect.gen(function* () {
        yield* queueMessages(1)
        const queue = yield* FlushQueue
        const entry = forged(String(Number.MAX_SAFE_INTEGER))
        const withForged = FlushQueue.of({
          ...queue,
          head: (name, bounds) => Effect.map(queue.head(name, bounds), (entries) => [...entries, entry]),
        })
        const flushBatch = yield* FlushBatch.make.pipe(
          Effect.provideService(FlushQueue, withForged),
          Effect.provide(CacheIdCounterLayer.layer),
        )
        assert.deepInclude(yield* flushBatch("public", trigger, limit), { persisted: 2 })
        assert.strictEqual(yield* queue.nextCacheId("public"), 2)
      }),
    )

    test(
      "what is quarantined is quarantined once, and not stored beside it, when its batch is read again",
      Effect.gen(function* () {
        yield* queueMessages(3)
        const queue = yield* FlushQueue
        const store = yield* MessageStore
        const poison = Buffer.from("not a message")
        const deaf = FlushQueue.of({
          ...queue,
          head: (name, bounds) =>
            Effect.map(queue.head(name, bounds), (entries) => [...entries, poison, poison]),
          acknowledge: () => Effect.succeed(0),
        })
        const refusing = MessageStore.of({
          ...store,
          transaction: (body) =>
            store.transaction((transaction) =>
              body({
                ...transaction,
                insert: (name, messages) =>
                  messages.some(({ cache_id }) => cache_id === 2)
                    ? new RowsRefused({ reason: "check constraint", sqlstate: "23514" })
                    : transaction.insert(name, messages),
              }),
            ),
        })
        const flushBatch = FlushBatch.make.pipe(
          Effect.provideService(FlushQueue, deaf),
          Effect.provide(CacheIdCounterLayer.layer),
        )
        const refused = yield* Effect.provideService(flushBatch, MessageStore, refusing)
        assert.deepInclude(yield* refused("public", trigger, limit), {
          persisted: 2,
          duplicates: 1,
          quarantined: 2,
        })
        assert.deepInclude(yield* refused("public", trigger, limit), {
          persisted: 0,
          duplicates: 5,
          quarantined: 0,
        })
        const repaired = yield* flushBatch
        assert.deepInclude(yield* repaired("public", trigger, limit), {
          persisted: 0,
          duplicates: 5,
          quarantined: 0,
        })
        assert.strictEqual((yield* store.quarantineEntries({ limit: 10 })).length, 2)
        assert.deepInclude(yield* totals, { persisted: 2, quarantined: 2 })
      }),
    )
  })

suite("memory", memory)
suite("Valkey and PostgreSQL", servers)
