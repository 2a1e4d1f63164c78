/** The cache of a channel that holds less than what was asked for, on memory. */
import { assert, it } from "@effect/vitest"
import { Effect, Either, Fiber, Layer, Ref, type Scope, TestClock } from "effect"
import { decodeEntry, encodePayload } from "../../src/domain/Entry.ts"
import { StoreUnavailable } from "../../src/domain/Errors.ts"
import * as CacheMemory from "../../src/layers/CacheMemory.ts"
import * as ChannelRecentLayer from "../../src/layers/ChannelRecent.ts"
import * as HistoryLayer from "../../src/layers/History.ts"
import * as MessageStoreMemory from "../../src/layers/MessageStoreMemory.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import { ChannelRecent } from "../../src/services/ChannelRecent.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { publicMessage } from "../contracts/StoreBackend.ts"

const settings = { maxCacheSize: 5, rateLimit: { message_limit: 1_000_000, window_seconds: 60 } }

const ports = Layer.merge(CacheMemory.layer, MessageStoreMemory.layer).pipe(
  Layer.provideMerge(SettingsConfig.layer(settings)),
)

const publish = (...numbers: ReadonlyArray<number>) =>
  Effect.flatMap(MessageCache, (cache) =>
    cache.append(
      "public",
      numbers.map((number) => {
        const { cache_id: _cacheId, ...said } = publicMessage(number)
        return { payload: encodePayload(said), ownerId: "ann", channel: "general" }
      }),
    ),
  )

const flush = Effect.gen(function* () {
  const flushQueue = yield* FlushQueue
  const head = yield* flushQueue.head("public", { entries: 1000, bytes: 1_000_000 })
  const messages = head.map((entry) => Either.getOrThrow(decodeEntry("public", entry)))
  yield* (yield* MessageStore).transaction((transaction) => transaction.insert("public", messages))
  yield* flushQueue.acknowledge("public", head)
})

/** Readers over a store that counts how often its history is read, and does what `first` says before each time. */
const readers = Effect.gen(function* () {
  const store = yield* MessageStore
  const asked = yield* Ref.make(0)
  const first = yield* Ref.make<Effect.Effect<void, StoreUnavailable>>(Effect.void)
  const counted = Layer.succeed(MessageStore, {
    ...store,
    history: (...range) =>
      Ref.update(asked, (count) => count + 1).pipe(
        Effect.zipRight(Effect.flatten(Ref.get(first))),
        Effect.zipRight(store.history(...range)),
      ),
  })
  const build = Layer.build(
    Layer.fresh(ChannelRecentLayer.layer.pipe(Layer.provide(HistoryLayer.layer), Layer.provide(counted))),
  )
  const { entries } = yield* Effect.provide(ChannelRecent, yield* build)
  const other = yield* Effect.provide(ChannelRecent, yield* build)
  const numbers = (from: ChannelRecent["Type"], limit: number) =>
    Effect.map(from.entries("general", limit, settings.maxCacheSize), (found) =>
      found.map((entry) => Number(Either.getOrThrow(decodeEntry("public", entry)).message_id.slice(-12))),
    )
  return {
    asked,
    first,
    read: (limit: number) => numbers({ entries }, limit),
    readElsewhere: (limit: number) => numbers(other, limit),
  }
})

const test = <E>(
  title: string,
  body: Effect.Effect<void, E, Layer.Layer.Success<typeof ports> | Scope.Scope>,
) =>
  it.scoped(title, () =>
    Effect.flatMap(FlushQueue, (flushQueue) => flushQueue.raiseCounter("public", 0)).pipe(
      Effect.zipRight(body),
      Effect.provide(ports),
    ),
  )

const aDay = TestClock.adjust("25 hours")

test(
  "a cold cache is filled from the history once, however many read it at the same time",
  Effect.gen(function* () {
    const { asked, read, readElsewhere } = yield* readers
    yield* publish(1, 2, 3, 4, 5, 6, 7)
    yield* flush
    yield* aDay
    assert.deepStrictEqual(yield* (yield* MessageCache).recentOfChannel("general"), [])
    const seen = yield* Effect.all(
      Array.from({ length: 50 }, () => read(5)),
      { concurrency: "unbounded" },
    )
    for (const numbers of seen) assert.deepStrictEqual(numbers, [3, 4, 5, 6, 7])
    assert.strictEqual(yield* Ref.get(asked), 1)
    assert.deepStrictEqual(yield* readElsewhere(5), [3, 4, 5, 6, 7])
    assert.strictEqual(yield* Ref.get(asked), 1)
  }),
)

test(
  "what a cache lacks in front of a new message is put there, stored or still queued, and stays there",
  Effect.gen(function* () {
    const { asked, read } = yield* readers
    yield* publish(1, 2)
    yield* flush
    yield* publish(3)
    yield* aDay
    yield* publish(4)
    assert.deepStrictEqual(yield* read(1), [4])
    assert.strictEqual(yield* Ref.get(asked), 0)
    assert.deepStrictEqual(yield* read(3), [1, 2, 3, 4])
    yield* publish(5, 6)
    assert.deepStrictEqual(yield* read(5), [2, 3, 4, 5, 6])
    assert.strictEqual(yield* Ref.get(asked), 1)
  }),
)

test(
  "a channel with few messages, or none, is not asked for again and again",
  Effect.gen(function* () {
    const { asked, read } = yield* readers
    for (let times = 0; times < 5; times++) assert.deepStrictEqual(yield* read(5), [])
    assert.strictEqual(yield* Ref.get(asked), 1)
    yield* publish(1)
    for (let times = 0; times < 5; times++) assert.deepStrictEqual(yield* read(5), [1])
    assert.strictEqual(yield* Ref.get(asked), 2)
    yield* publish(2)
    for (let times = 0; times < 5; times++) assert.deepStrictEqual(yield* read(5), [1, 2])
    assert.strictEqual(yield* Ref.get(asked), 2)
    yield* TestClock.adjust("1 minute")
    yield* read(5)
    assert.strictEqual(yield* Ref.get(asked), 3)
  }),
)

test(
  "while the history cannot be read, what is cached is shown, and the next reader does not wait",
  Effect.gen(function* () {
    const { asked, first, read } = yield* readers
    yield* publish(1, 2)
    yield* flush
    yield* aDay
    yield* publish(3)
    yield* Ref.set(first, new StoreUnavailable({ operation: "test", reason: "away", sqlstate: null }))
    assert.deepStrictEqual(yield* read(5), [3])
    assert.deepStrictEqual(yield* read(5), [3])
    assert.strictEqual(yield* Ref.get(asked), 1)
    yield* Ref.set(first, Effect.void)
    yield* TestClock.adjust("3 seconds")
    assert.deepStrictEqual(yield* read(5), [1, 2, 3])
  }),
)

test(
  "a history that does not answer holds nobody for long, and answers for all who come later",
  Effect.gen(function* () {
    const { asked, first, read } = yield* readers
    yield* publish(1)
    yield* flush
    yield* aDay
    yield* Ref.set(first, Effect.delay(Effect.void, "10 seconds"))
    const waiting = yield* Effect.fork(read(5))
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(yield* Fiber.join(waiting), [])
    yield* TestClock.adjust("8 seconds")
    assert.deepStrictEqual(yield* read(5), [1])
    assert.strictEqual(yield* Ref.get(asked), 1)
  }),
)

test(
  "a reader who leaves does not take the answer from those who wait with it",
  Effect.gen(function* () {
    const { asked, first, read } = yield* readers
    yield* publish(1)
    yield* flush
    yield* aDay
    yield* Ref.set(first, Effect.delay(Effect.void, "1 second"))
    const leaving = yield* Effect.fork(read(5))
    yield* TestClock.adjust("500 millis")
    const staying = yield* Effect.fork(read(5))
    yield* Effect.yieldNow()
    yield* Fiber.interrupt(leaving)
    yield* TestClock.adjust("500 millis")
    assert.deepStrictEqual(yield* Fiber.join(staying), [1])
    assert.strictEqual(yield* Ref.get(asked), 1)
  }),
)

test(
  "nothing is put in front of a cache that another process has filled meanwhile",
  Effect.gen(function* () {
    const { first, read, readElsewhere } = yield* readers
    yield* publish(1, 2, 3)
    yield* flush
    yield* aDay
    yield* publish(4)
    yield* Ref.set(
      first,
      Effect.suspend(() => Effect.zipRight(Ref.set(first, Effect.void), elsewhere)),
    )
    const elsewhere = Effect.asVoid(Effect.orDie(readElsewhere(5)))
    assert.deepStrictEqual(yield* read(5), [1, 2, 3, 4])
    assert.deepStrictEqual(yield* read(5), [1, 2, 3, 4])
  }),
)
