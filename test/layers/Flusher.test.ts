import { assert, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { StoreUnavailable } from "../../src/domain/Errors.ts"
import type { Event } from "../../src/domain/Event.ts"
import type { PublicMessage } from "../../src/domain/Message.ts"
import * as CacheIdCounterLayer from "../../src/layers/CacheIdCounter.ts"
import * as CacheMemory from "../../src/layers/CacheMemory.ts"
import * as FlusherLayer from "../../src/layers/Flusher.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as MessageStoreMemory from "../../src/layers/MessageStoreMemory.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { Flusher } from "../../src/services/Flusher.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import type { Settings } from "../../src/services/Settings.ts"
import * as FaultyStore from "../support/FaultyStore.ts"

const settings: Partial<Settings["Type"]> = {
  maxCacheSize: 10,
  flushBatchSize: 4,
  flushInterval: Duration.minutes(2),
  shutdownTimeout: Duration.seconds(10),
  rateLimit: { message_limit: 1_000_000, window_seconds: 60 },
}

const layer = (overrides: Partial<Settings["Type"]> = {}) =>
  FlusherLayer.layer.pipe(
    Layer.provideMerge(CacheIdCounterLayer.layer),
    Layer.provideMerge(FaultyStore.layer),
    Layer.provideMerge(Layer.mergeAll(CacheMemory.layer, MessageStoreMemory.layer)),
    Layer.provideMerge(SettingsConfig.layer({ ...settings, ...overrides })),
  )

const payload = (number: number) =>
  JSON.stringify({
    message_id: `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`,
    owner_id: "1",
    username: "ada",
    channel: "general",
    message: `number ${number}`,
    authored_at: "2026-03-01T12:00:00Z",
  })

const queueMessages = (from: number, to: number) =>
  Effect.gen(function* () {
    const cache = yield* MessageCache
    const queue = yield* FlushQueue
    yield* queue.raiseCounter("public", 0)
    const publications = Array.from({ length: to - from + 1 }, (_, index) => ({
      payload: payload(from + index),
      ownerId: "1",
    }))
    return yield* cache.append("public", publications)
  })

const journal = Effect.flatMap(EventJournal, (events) => events.read(0, 10_000)).pipe(
  Effect.map((events) => events.map(({ event }) => event)),
)

const named = <Tag extends Event["_tag"]>(events: ReadonlyArray<Event>, tag: Tag) =>
  events.filter((event): event is Extract<Event, { _tag: Tag }> => event._tag === tag)

const queueLength = Effect.flatMap(FlushQueue, (queue) => queue.length("public"))

it.scoped(
  "flushes batch after batch when the queue has reached the threshold, without waiting for time",
  () =>
    Effect.gen(function* () {
      const flusher = yield* Flusher
      const { queueLength: length } = yield* queueMessages(1, 10)
      yield* flusher.notifyLength("public", length)
      yield* Effect.yieldNow()
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* queueLength, 0)
      const batches = named(yield* journal, "BatchPersisted")
      assert.deepStrictEqual(
        batches.map(({ trigger, persisted, first_cache_id, last_cache_id }) => [
          trigger,
          persisted,
          first_cache_id,
          last_cache_id,
        ]),
        [
          ["threshold", 4, 1, 4],
          ["threshold", 4, 5, 8],
          ["threshold", 2, 9, 10],
        ],
      )
    }).pipe(Effect.provide(layer())),
)

it.scoped("sees within a second that another process has filled the queue", () =>
  Effect.gen(function* () {
    yield* Flusher
    yield* queueMessages(1, 10)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* queueLength, 0)
  }).pipe(Effect.provide(layer())),
)

it.scoped("leaves what is below the threshold to the interval", () =>
  Effect.gen(function* () {
    yield* Flusher
    yield* queueMessages(1, 9)
    yield* TestClock.adjust("119 seconds")
    assert.strictEqual(yield* queueLength, 9)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* queueLength, 0)
    assert.deepStrictEqual(
      named(yield* journal, "BatchPersisted").map(({ trigger }) => trigger),
      ["interval", "interval", "interval"],
    )
  }).pipe(Effect.provide(layer())),
)

it.scoped("flushes by request, and callers who wait together share one flush", () =>
  Effect.gen(function* () {
    const flusher = yield* Flusher
    yield* queueMessages(1, 3)
    const reports = yield* Effect.all([flusher.flush("public"), flusher.flush("public")], {
      concurrency: "unbounded",
    })
    for (const report of reports) {
      assert.deepInclude(report, { duplicates: 0, quarantined: 0, remaining: 0 })
    }
    assert.strictEqual(named(yield* journal, "BatchPersisted").length, 1)
  }).pipe(Effect.provide(layer())),
)

it.scoped(
  "keeps everything over an outage, tries again with growing pauses, and tells of it once, afterwards",
  () =>
    Effect.gen(function* () {
      const flusher = yield* Flusher
      const faults = yield* FaultyStore.StoreFaults
      yield* faults.set({ at: "begin", error: FaultyStore.outage })
      yield* queueMessages(1, 10)
      yield* TestClock.adjust("5 minutes")
      const problem = yield* flusher.problem("public")
      assert.isDefined(problem)
      // Without the cap of 30 s there would be about 10 attempts, without growing pauses 1,500.
      assert.isAtLeast(problem.attempts, (5 * 60) / 30)
      assert.isAtMost(problem.attempts, 40)
      assert.strictEqual(yield* queueLength, 10)
      yield* faults.set(undefined)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* queueLength, 0)
      assert.isUndefined(yield* flusher.problem("public"))
      const events = yield* journal
      const [failed, ...more] = named(events, "FlushFailed")
      assert.isDefined(failed)
      assert.strictEqual(more.length, 0)
      assert.strictEqual(failed.attempts, problem.attempts)
      assert.isAtLeast(failed.duration_ms, 299_000)
      assert.strictEqual(named(events, "FlushRecovered").length, 1)
    }).pipe(Effect.provide(layer())),
)

it.scoped("a request during an outage is tried at once and fails with what stopped it", () =>
  Effect.gen(function* () {
    const flusher = yield* Flusher
    const faults = yield* FaultyStore.StoreFaults
    yield* faults.set({ at: "begin", error: FaultyStore.outage })
    yield* queueMessages(1, 2)
    const error = yield* Effect.flip(flusher.flush("public"))
    assert.strictEqual(error._tag, "StoreUnavailable")
    yield* faults.set(undefined)
    assert.deepInclude(yield* flusher.flush("public"), { persisted: 2, remaining: 0 })
  }).pipe(Effect.provide(layer())),
)

it.scoped("a lost reply to COMMIT costs a repetition that adds no row", () =>
  Effect.gen(function* () {
    const flusher = yield* Flusher
    const faults = yield* FaultyStore.StoreFaults
    yield* faults.set({ at: "reply", error: FaultyStore.outage })
    yield* queueMessages(1, 3)
    yield* Effect.flip(flusher.flush("public"))
    assert.strictEqual(yield* queueLength, 3)
    yield* faults.set(undefined)
    assert.deepInclude(yield* flusher.flush("public"), { persisted: 0, duplicates: 3, remaining: 0 })
  }).pipe(Effect.provide(layer())),
)

it.effect("closing the scope drains both queues", () =>
  Effect.gen(function* () {
    const outside = yield* Layer.build(
      Layer.provideMerge(
        Layer.mergeAll(CacheMemory.layer, MessageStoreMemory.layer),
        SettingsConfig.layer(settings),
      ),
    )
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      FlusherLayer.layer.pipe(Layer.provide(CacheIdCounterLayer.layer)),
      scope,
    ).pipe(Effect.provide(outside))
    void context
    yield* queueMessages(1, 9).pipe(Effect.provide(outside))
    yield* Scope.close(scope, Exit.void)
    assert.strictEqual(yield* queueLength.pipe(Effect.provide(outside)), 0)
    const events = yield* journal.pipe(Effect.provide(outside))
    assert.isTrue(named(events, "BatchPersisted").every(({ trigger }) => trigger === "drain"))
  }).pipe(Effect.scoped),
)

it.scoped("a drain ends at its deadline, says what stayed queued, and takes no requests afterwards", () =>
  Effect.gen(function* () {
    const flusher = yield* Flusher
    const faults = yield* FaultyStore.StoreFaults
    yield* faults.set({ at: "begin", error: FaultyStore.outage })
    yield* queueMessages(1, 5)
    const drain = yield* Effect.fork(flusher.drain)
    yield* TestClock.adjust("10 seconds")
    const reports = yield* Fiber.join(drain)
    assert.deepStrictEqual(reports.public, {
      persisted: 0,
      duplicates: 0,
      quarantined: 0,
      deleted: 0,
      remaining: 5,
      complete: false,
    })
    assert.isTrue(reports.private.complete)
    assert.deepStrictEqual(yield* flusher.drain, reports)
    assert.strictEqual((yield* Effect.flip(flusher.flush("public")))._tag, "ShuttingDown")
  }).pipe(Effect.provide(layer())),
)

it.scoped("a counter that is behind what is stored is raised, and the journal tells", () =>
  Effect.gen(function* () {
    const flusher = yield* Flusher
    const queue = yield* FlushQueue
    const store = yield* MessageStore
    yield* queueMessages(1, 3)
    yield* store.transaction((transaction) =>
      transaction.insert("public", [{ cache_id: 100, ...(JSON.parse(payload(99)) as PublicMessage) }]),
    )
    yield* flusher.flush("public")
    assert.strictEqual(yield* queue.lastCacheId("public"), 100)
    assert.deepStrictEqual(
      named(yield* journal, "CounterReseeded").map(({ from, to }) => [from, to]),
      [[3, 100]],
    )
  }).pipe(Effect.provide(layer())),
)

it.scoped("a table that refuses more than half of a batch raises the alarm and quarantines nothing", () =>
  Effect.gen(function* () {
    const flusher = yield* Flusher
    const faults = yield* FaultyStore.StoreFaults
    yield* queueMessages(1, 30)
    yield* faults.refuseRows((number) => number % 5 !== 0)
    const error = yield* Effect.flip(flusher.flush("public"))
    assert.strictEqual(error._tag, "SchemaSuspected")
    assert.strictEqual(yield* queueLength, 30)
    assert.deepStrictEqual(named(yield* journal, "MessageQuarantined"), [])
    yield* faults.refuseRows(() => false)
    assert.deepInclude(yield* flusher.flush("public"), { persisted: 30, quarantined: 0 })
  }).pipe(Effect.provide(layer({ flushBatchSize: 100 }))),
)

it.scoped(
  "the rows that are refused alone are quarantined, their neighbours stored in the same transaction",
  () =>
    Effect.gen(function* () {
      const flusher = yield* Flusher
      const faults = yield* FaultyStore.StoreFaults
      yield* queueMessages(1, 30)
      yield* faults.refuseRows((number) => number % 10 === 0)
      assert.deepInclude(yield* flusher.flush("public"), { persisted: 27, quarantined: 3, remaining: 0 })
      const events = yield* journal
      assert.deepStrictEqual(
        named(events, "MessageQuarantined").map(({ cache_id, reason, sqlstate }) => [
          cache_id,
          reason,
          sqlstate,
        ]),
        [10, 20, 30].map((id) => [id, "refused_by_postgres", "23514"]),
      )
      assert.strictEqual(named(events, "BatchPersisted").length, 1)
    }).pipe(Effect.provide(layer({ flushBatchSize: 100 }))),
)

it.scoped("is alive while it takes its turns, idle or in an outage, and not once an actor is stuck", () =>
  Effect.gen(function* () {
    const flusher = yield* Flusher
    const faults = yield* FaultyStore.StoreFaults
    yield* TestClock.adjust("90 seconds")
    assert.isTrue(yield* flusher.isAlive)
    yield* faults.set({ at: "begin", error: FaultyStore.outage })
    yield* queueMessages(1, 10)
    yield* TestClock.adjust("90 seconds")
    assert.isTrue(yield* flusher.isAlive)
    yield* faults.set("stuck")
    yield* TestClock.adjust("90 seconds")
    assert.isFalse(yield* flusher.isAlive)
    // What is stuck ends with the drain, whose deadline only passes when it is told to.
    const drained = yield* Effect.fork(flusher.drain)
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(drained)
  }).pipe(Effect.provide(layer())),
)

/** What a store says when it does not get a batch done in time. */
const tooSlowFor = (most: number) =>
  Layer.effect(
    MessageStore,
    Effect.map(MessageStore, (store) => ({
      ...store,
      transaction: (body) =>
        store.transaction((transaction) =>
          body({
            ...transaction,
            insert: (queue, messages) =>
              messages.length > most
                ? new StoreUnavailable({ operation: "test", reason: "no answer within 30s", sqlstate: null })
                : transaction.insert(queue, messages),
          }),
        ),
    })),
  )

it.scoped(
  "a batch that is not done before the deadline is tried in smaller pieces, until they get through",
  () =>
    Effect.gen(function* () {
      yield* queueMessages(1, 100)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* queueLength, 0)
      const batches = named(yield* journal, "BatchPersisted").map(({ persisted }) => persisted)
      assert.isAtMost(Math.max(...batches), 10)
    }).pipe(
      Effect.provide(
        FlusherLayer.layer.pipe(
          Layer.provideMerge(CacheIdCounterLayer.layer),
          Layer.provideMerge(tooSlowFor(10)),
          Layer.provideMerge(Layer.mergeAll(CacheMemory.layer, MessageStoreMemory.layer)),
          Layer.provideMerge(SettingsConfig.layer({ ...settings, flushBatchSize: 100 })),
        ),
      ),
    ),
)
