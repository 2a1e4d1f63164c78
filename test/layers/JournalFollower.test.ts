import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, Queue, Ref, Stream, TestClock } from "effect"
import { type StoreError, StoreMisconfigured, StoreUnavailable } from "../../src/domain/Errors.ts"
import { FlushRecovered, type RecordedEvent } from "../../src/domain/Event.ts"
import { initialState } from "../../src/domain/State.ts"
import * as JournalFollower from "../../src/layers/JournalFollower.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { JournalState } from "../../src/services/JournalState.ts"

const away = new StoreUnavailable({
  operation: "EventJournal.read",
  reason: "connect ECONNREFUSED",
  sqlstate: null,
})
const corrupted = new StoreMisconfigured({
  operation: "EventJournal.read",
  reason: "the event at position 3 does not have the shape of a FlushRecovered",
  sqlstate: "XX001",
})

const recorded = (position: number): RecordedEvent => ({
  position,
  recorded_at: "2026-01-01T00:00:00Z",
  event: new FlushRecovered({ queue: "public" }),
})

/** A journal in the test's hands: what is in it, what is wrong with it, and every reading of it. */
const makeJournal = Effect.gen(function* () {
  const events: Array<RecordedEvent> = []
  const fault = yield* Ref.make<Effect.Effect<void, StoreError>>(Effect.void)
  const reads: Array<number> = []
  const read = (after: number, limit: number) =>
    Effect.zipRight(
      Effect.flatten(Ref.get(fault)),
      Effect.sync(() => {
        reads.push(after)
        return events.filter(({ position }) => position > after).slice(0, limit)
      }),
    )
  const refresh = Effect.zipRight(
    Effect.flatten(Ref.get(fault)),
    Effect.sync(() => ({
      position: events.at(-1)?.position ?? 0,
      state: initialState,
      rateLimitPosition: 0,
    })),
  )
  const follower = yield* JournalFollower.make.pipe(
    Effect.provide(
      Layer.merge(
        Layer.succeed(EventJournal, { read }),
        Layer.succeed(JournalState, { refresh, lastKnown: Effect.orDie(refresh) }),
      ),
    ),
  )
  const record = (from: number, to: number) =>
    Effect.sync(() => {
      for (let position = from; position <= to; position++) events.push(recorded(position))
    })
  return { follower, record, fault, reads }
})

const oneInterval = TestClock.adjust("1 second")

const positionsOf = (stream: Stream.Stream<RecordedEvent, StoreMisconfigured>) =>
  Effect.map(Stream.runCollect(stream), (events) =>
    Chunk.toReadonlyArray(events).map(({ position }) => position),
  )

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe("following the journal", () => {
  it.scoped("begins after the position that was asked for and goes on with what is recorded later", () =>
    Effect.gen(function* () {
      const { follower, record } = yield* makeJournal
      yield* record(1, 1200)
      const fromBeginning = yield* Effect.fork(positionsOf(Stream.take(follower.follow(0), 1203)))
      const fromEnd = yield* Effect.fork(positionsOf(Stream.take(follower.follow(1199), 4)))
      const fromFuture = yield* Effect.fork(positionsOf(Stream.take(follower.follow(1202), 1)))
      yield* oneInterval
      yield* record(1201, 1203)
      yield* oneInterval
      assert.deepStrictEqual(yield* Fiber.join(fromBeginning), range(1, 1203))
      assert.deepStrictEqual(yield* Fiber.join(fromEnd), range(1200, 1203))
      assert.deepStrictEqual(yield* Fiber.join(fromFuture), [1203])
    }),
  )

  it.scoped("reads the journal once for all who listen, and not at all when nobody does", () =>
    Effect.gen(function* () {
      const { follower, record, reads } = yield* makeJournal
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(reads, [])
      const listeners = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 50 }, () => positionsOf(Stream.take(follower.follow(0), 2))),
          { concurrency: "unbounded" },
        ),
      )
      yield* oneInterval
      yield* record(1, 2)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        yield* Fiber.join(listeners),
        Array.from({ length: 50 }, () => [1, 2]),
      )
      const readSoFar = reads.length
      assert.isAtMost(readSoFar, 12)
      yield* TestClock.adjust("1 minute")
      assert.isAtMost(reads.length, readSoFar + 1)
      const late = yield* Effect.fork(positionsOf(Stream.take(follower.follow(0), 3)))
      yield* record(3, 3)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(late), [1, 2, 3])
    }),
  )

  it.scoped("waits while PostgreSQL is away, also at the beginning, and goes on", () =>
    Effect.gen(function* () {
      const { follower, record, fault } = yield* makeJournal
      yield* record(1, 2)
      yield* Ref.set(fault, Effect.fail(away))
      const listening = yield* Effect.fork(positionsOf(Stream.take(follower.follow(0), 5)))
      yield* TestClock.adjust("1 minute")
      yield* Ref.set(fault, Effect.void)
      yield* TestClock.adjust("2 seconds")
      yield* Ref.set(fault, Effect.fail(away))
      yield* record(3, 5)
      yield* TestClock.adjust("1 minute")
      assert.isTrue((yield* Fiber.poll(listening))._tag === "None")
      yield* Ref.set(fault, Effect.void)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(listening), range(1, 5))
    }),
  )

  it.scoped("fails when the journal cannot be read, and works again once it can", () =>
    Effect.gen(function* () {
      const { follower, record, fault } = yield* makeJournal
      yield* record(1, 2)
      const told = yield* Effect.fork(Effect.flip(positionsOf(follower.follow(2))))
      yield* oneInterval
      yield* Ref.set(fault, Effect.fail(corrupted))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(told), corrupted)
      assert.strictEqual(yield* Effect.flip(positionsOf(follower.follow(0))), corrupted)
      yield* Ref.set(fault, Effect.void)
      assert.deepStrictEqual(yield* positionsOf(Stream.take(follower.follow(0), 2)), [1, 2])
    }),
  )

  it.scoped("leaves nobody out who reads slowly", () =>
    Effect.gen(function* () {
      const { follower, record } = yield* makeJournal
      const taken = yield* Queue.bounded<RecordedEvent>(1)
      yield* Effect.forkScoped(Stream.runForEach(follower.follow(0), (event) => Queue.offer(taken, event)))
      yield* oneInterval
      for (let page = 0; page < 5; page++) {
        yield* record(page * 700 + 1, (page + 1) * 700)
        yield* oneInterval
      }
      const positions: Array<number> = []
      while (positions.length < 3500) positions.push((yield* Queue.take(taken)).position)
      assert.deepStrictEqual(positions, range(1, 3500))
    }),
  )

  it.scoped("ends with what has been recorded until then", () =>
    Effect.gen(function* () {
      const { follower, record } = yield* makeJournal
      yield* record(1, 1)
      const listening = yield* Effect.fork(positionsOf(follower.follow(0)))
      yield* oneInterval
      yield* record(2, 3)
      yield* follower.end
      assert.deepStrictEqual(yield* Fiber.join(listening), [1, 2, 3])
      assert.deepStrictEqual(yield* positionsOf(follower.follow(1)), [2, 3])
    }),
  )
})
