/** Deletions between, within and after the steps of a flush, on memory and on real servers. */
import { assert, it, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Logger, LogLevel, type Scope } from "effect"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as CacheIdCounterLayer from "../../src/layers/CacheIdCounter.ts"
import * as DeletionLayer from "../../src/layers/Deletion.ts"
import * as FlushBatch from "../../src/layers/flushBatch.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { Deletion } from "../../src/services/Deletion.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { MessageStore, type StoreTransaction } from "../../src/services/MessageStore.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { type Backend, memory, type Servers, valkeyAndPostgres } from "../model/Servers.ts"
import { eventually } from "../support/eventually.ts"
import { freshDatabase, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"
import { rawClient } from "./valkey/rawClient.ts"

const quiet = Logger.minimumLogLevel(LogLevel.None)

const idOf = (number: number): string => `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`

const publish = ({ ports }: Servers, ...numbers: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    yield* Context.get(ports, FlushQueue).raiseCounter("private", 0)
    yield* Context.get(ports, MessageCache).append(
      "private",
      numbers.map((number) => ({
        payload: JSON.stringify({
          message_id: idOf(number),
          owner_id: "ann",
          username: "Ann",
          recipient_id: "bob",
          recipient: "Bob",
          message: `number ${number}`,
          authored_at: "2026-03-01T12:00:00Z",
        }),
        ownerId: "ann",
        recipientId: "bob",
      })),
    )
  })

const deleteMessage = ({ ports }: Servers, number: number) =>
  Effect.flatMap(Deletion, (deletion) => deletion.delete("private", idOf(number))).pipe(
    Effect.provide(DeletionLayer.layer),
    Effect.provide(ports),
  )

const limit = { entries: 100, bytes: 1_000_000 }

/** @param changes what is different about the ports of this flush */
const flush = (
  { ports }: Servers,
  changes: {
    readonly queue?: Partial<typeof FlushQueue.Service>
    readonly transaction?: (transaction: StoreTransaction) => Partial<StoreTransaction>
  } = {},
) => {
  const store = Context.get(ports, MessageStore)
  const changed = ports.pipe(
    Context.add(FlushQueue, FlushQueue.of({ ...Context.get(ports, FlushQueue), ...changes.queue })),
    Context.add(
      MessageStore,
      MessageStore.of({
        ...store,
        transaction: (body) =>
          store.transaction((transaction) => body({ ...transaction, ...changes.transaction?.(transaction) })),
      }),
    ),
  )
  return FlushBatch.make.pipe(
    Effect.flatMap((flushBatch) => flushBatch("private", "request", limit)),
    Effect.provide(CacheIdCounterLayer.layer),
    Effect.provide(changed),
  )
}

const withoutLock = { lockQueue: () => Effect.succeed(0) }

const rows = ({ control }: Servers) =>
  Effect.map(control.rows("private"), (found) => found.map(({ message }) => message))

const cached = ({ ports }: Servers) =>
  Effect.forEach(["ann", "bob"], (user) =>
    Effect.map(Context.get(ports, MessageCache).recentPrivate(user), ({ length }) => length),
  )

const suite = <R>(backend: Backend<R>) =>
  layer(backend.environment, { excludeTestServices: true })(`a deletion on ${backend.name}`, (it) => {
    const test = <E>(title: string, body: (servers: Servers) => Effect.Effect<void, E, Scope.Scope>) =>
      it.scoped(title, () =>
        Effect.flatMap(backend.servers({}), (servers) => Effect.withClock(body(servers), servers.clock)).pipe(
          Effect.provide(quiet),
        ),
      )

    for (const [how, lock] of [
      ["", {}],
      [", which holds no lock of the queue", withoutLock],
    ] as const) {
      test(`a delete that races the flush${how}: the flush has read the message and not inserted it`, (servers) =>
        Effect.gen(function* () {
          yield* publish(servers, 1, 2)
          const report = yield* flush(servers, {
            transaction: (transaction) => ({
              ...lock,
              insert: (queue, messages) =>
                Effect.zipRight(Effect.orDie(deleteMessage(servers, 1)), transaction.insert(queue, messages)),
            }),
          })
          assert.deepInclude(report, { persisted: 1, deleted: 1 })
          assert.deepStrictEqual(yield* rows(servers), ["number 2"])
          assert.deepStrictEqual(yield* cached(servers), [1, 1])
        }))

      test(`a delete that races the flush${how}: the flush has inserted the message and not committed`, (servers) =>
        Effect.gen(function* () {
          yield* publish(servers, 1, 2)
          const inserted = yield* Deferred.make<void>()
          const mayCommit = yield* Deferred.make<void>()
          const flushing = yield* Effect.fork(
            flush(servers, {
              transaction: (transaction) => ({
                ...lock,
                insert: (queue, messages) =>
                  transaction
                    .insert(queue, messages)
                    .pipe(
                      Effect.zipLeft(Deferred.succeed(inserted, undefined)),
                      Effect.zipLeft(Deferred.await(mayCommit)),
                    ),
              }),
            }),
          )
          yield* Deferred.await(inserted)
          const impatient = yield* Effect.flip(deleteMessage(servers, 1))
          assert.strictEqual(impatient._tag, "StoreUnavailable")
          const deleting = yield* Effect.fork(
            Effect.retry(deleteMessage(servers, 1), { while: ({ _tag }) => _tag === "StoreUnavailable" }),
          )
          yield* Deferred.succeed(mayCommit, undefined)
          assert.deepInclude(yield* Fiber.join(flushing), { persisted: 2, deleted: 0 })
          yield* Fiber.join(deleting)
          assert.deepStrictEqual(yield* rows(servers), ["number 2"])
          assert.deepStrictEqual(yield* cached(servers), [1, 1])
        }))
    }

    test("a delete after COMMIT and before the acknowledgement does not come back", (servers) =>
      Effect.gen(function* () {
        yield* publish(servers, 1, 2)
        yield* flush(servers, {
          queue: { acknowledge: () => Effect.as(Effect.orDie(deleteMessage(servers, 1)), 0) },
        })
        assert.deepStrictEqual(yield* rows(servers), ["number 2"])
        assert.deepInclude(yield* flush(servers), { persisted: 0, duplicates: 1, deleted: 1 })
        assert.deepStrictEqual(yield* rows(servers), ["number 2"])
        assert.deepStrictEqual(yield* cached(servers), [1, 1])
      }))

    test("a delete does not come back after Valkey went back to an older copy", (servers) =>
      Effect.gen(function* () {
        yield* publish(servers, 1, 2)
        const goBack = yield* servers.control.copy
        yield* deleteMessage(servers, 1)
        assert.deepInclude(yield* flush(servers), { persisted: 1, deleted: 1 })
        yield* deleteMessage(servers, 2)
        yield* goBack
        assert.deepInclude(yield* flush(servers), { persisted: 0, deleted: 2 })
        assert.deepStrictEqual(yield* rows(servers), [])
        assert.deepStrictEqual(yield* cached(servers), [0, 0])
      }))

    test("a delete that Valkey did not hear of is completed by repeating it", (servers) =>
      Effect.gen(function* () {
        yield* publish(servers, 1, 2)
        yield* flush(servers)
        yield* Context.get(servers.ports, MessageStore).transaction((transaction) =>
          transaction.deleteMessage("private", idOf(1)),
        )
        assert.deepStrictEqual(yield* cached(servers), [2, 2])
        yield* deleteMessage(servers, 1)
        assert.deepStrictEqual(yield* cached(servers), [1, 1])
      }))
  })

suite(memory)
suite(valkeyAndPostgres)

it.scopedLive("a delete survives a restart, also one that finds Valkey empty", () =>
  Effect.gen(function* () {
    const keyPrefix = yield* uniqueKeyPrefix
    const process = Layer.fresh(
      ChatCacheLayer.layer.pipe(Layer.provide(SettingsConfig.layer({ keyPrefix })), Layer.provide(quiet)),
    )
    const draft = {
      owner_id: "1",
      username: "ada",
      channel: "general",
      message: "Hello",
      message_id: idOf(1),
    }

    yield* Effect.gen(function* () {
      const chat = yield* ChatCache
      yield* chat.publish(draft)
      yield* chat.delete(draft.message_id)
    }).pipe(Effect.provide(process))

    yield* Effect.gen(function* () {
      const chat = yield* ChatCache
      assert.deepInclude((yield* chat.status).queues.public, { persisted: 0, deleted: 1 })
      yield* chat.publish(draft)
      assert.deepStrictEqual(yield* chat.recent(), [])
      assert.deepInclude((yield* chat.flush).public, { persisted: 0, deleted: 1 })
    }).pipe(Effect.provide(process))

    const client = yield* rawClient((yield* ValkeyServer).url)
    yield* Effect.promise(async () => client.del(...(await client.keys(`${keyPrefix}*`))))
    yield* Effect.gen(function* () {
      const chat = yield* ChatCache
      yield* eventually(
        "messages are taken",
        Effect.map(Effect.either(chat.publish(draft)), ({ _tag }) => _tag === "Right"),
      )
      yield* chat.flush
      assert.deepStrictEqual(yield* chat.recent(), [])
      assert.strictEqual((yield* chat.status).queues.public.persisted, 0)
    }).pipe(Effect.provide(process))
  }).pipe(Effect.provide(Layer.merge(valkeyShared, freshDatabase))),
)
