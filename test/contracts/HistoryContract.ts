/** What is guaranteed of the history, whatever moves messages meanwhile. */
import { assert, layer } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import * as fc from "fast-check"
import { decodeEntry, encodePayload } from "../../src/domain/Entry.ts"
import { StoreUnavailable } from "../../src/domain/Errors.ts"
import {
  comparePositions,
  formatCursor,
  type HistoryQuery,
  type HistoryScope,
  isInScope,
} from "../../src/domain/History.ts"
import type { CachedMessage, QueueName } from "../../src/domain/Message.ts"
import * as HistoryLayer from "../../src/layers/History.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { History } from "../../src/services/History.ts"
import { maximumAppend, MessageCache } from "../../src/services/MessageCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { CacheControl, type CachePorts } from "./CacheBackend.ts"
import type { StorePorts } from "./StoreBackend.ts"

export interface HistoryBackend<Environment> {
  readonly name: string
  /** How many random interleavings are tried. */
  readonly runs: number
  readonly environment: Layer.Layer<Environment>
  /** New ports over an empty state. */
  readonly ports: Layer.Layer<CachePorts | StorePorts, never, Environment>
}

const users = ["ann", "bob", "cleo"]
const channels = ["general", "random"]

const scopes: ReadonlyArray<HistoryScope> = [
  { queue: "public" },
  ...channels.map((channel) => ({ queue: "public" as const, channel })),
  ...users.map((userId) => ({ queue: "private" as const, userId })),
]

const idOf = (number: number): string => `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`

/** A message that is told from all others by its number, which also decides where it belongs. */
const said = (queue: QueueName, number: number) => {
  const owner = users[number % 3]!
  const recipient = users[(number >> 2) % 3]!
  return {
    message_id: idOf(number),
    owner_id: owner,
    username: owner,
    ...(queue === "public"
      ? { channel: channels[(number >> 1) % 2]! }
      : { recipient_id: recipient, recipient }),
    message: `number ${number}`,
    authored_at: "2026-03-01T12:00:00.000Z",
  }
}

const append = Effect.fnUntraced(function* (
  queue: QueueName,
  messages: ReadonlyArray<ReturnType<typeof said>>,
) {
  const cache = yield* MessageCache
  for (let start = 0; start < messages.length; start += maximumAppend) {
    const part = messages.slice(start, start + maximumAppend)
    yield* cache.append(
      queue,
      part.map((message) => ({ payload: encodePayload(message), ownerId: message.owner_id })),
    )
  }
})

/** The first half of a flush: what stands at the head becomes rows. */
const store = Effect.fnUntraced(function* (queue: QueueName, entries: number) {
  const head = yield* (yield* FlushQueue).head(queue, { entries, bytes: 1_000_000_000 })
  const messages = head.map((entry) => Either.getOrThrow(decodeEntry(queue, entry)))
  yield* (yield* MessageStore).transaction((transaction) => transaction.insert(queue, messages))
  return head
})

const flush = Effect.fnUntraced(function* (queue: QueueName, entries = 1_000_000) {
  const head = yield* store(queue, entries)
  yield* (yield* FlushQueue).acknowledge(queue, head)
})

const start = Effect.flatMap(FlushQueue, (flushQueue) =>
  Effect.zipRight(flushQueue.raiseCounter("public", 0), flushQueue.raiseCounter("private", 0)),
)

/** A history with something happening before each reading of the queue, and before and after each of the table. */
const disturbedHistory = (disturbance: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const flushQueue = yield* FlushQueue
    const messageStore = yield* MessageStore
    const ports = Layer.merge(
      Layer.succeed(FlushQueue, {
        ...flushQueue,
        page: (...args) => Effect.zipRight(disturbance, flushQueue.page(...args)),
      }),
      Layer.succeed(MessageStore, {
        ...messageStore,
        history: (...args) =>
          Effect.zipRight(disturbance, messageStore.history(...args)).pipe(Effect.zipLeft(disturbance)),
      }),
    )
    return yield* Effect.provide(History, HistoryLayer.layer.pipe(Layer.provide(ports)))
  })

const history = disturbedHistory(Effect.void)

/** A history whose store is away. */
const historyWithout = (messageStore: MessageStore["Type"]) => {
  const away = new StoreUnavailable({ operation: "test", reason: "away", sqlstate: null })
  return Effect.provide(
    History,
    HistoryLayer.layer.pipe(
      Layer.provide(Layer.succeed(MessageStore, { ...messageStore, history: () => away })),
    ),
  )
}

/** Page after page, until there is no cursor to go on with. In the order in which they were read, each oldest first. */
const walk = Effect.fnUntraced(function* (
  { page }: History["Type"],
  scope: HistoryScope,
  direction: "before" | "after",
  limit: number,
) {
  const pages: Array<ReadonlyArray<CachedMessage>> = []
  let query: HistoryQuery = direction === "before" ? { limit } : { limit, after: `0.${idOf(0)}` }
  while (true) {
    const { messages, previous, next } = yield* page(scope, query)
    assert.isAtMost(messages.length, limit)
    pages.push(messages)
    const cursor = direction === "before" ? previous : next
    if (cursor === undefined) return pages
    assert.isBelow(pages.length, 10_000)
    query = { limit, [direction]: cursor }
  }
})

/** Everything that was read on a walk, oldest first. Fails unless it is in order, with no message twice. */
const inOrder = (direction: "before" | "after", pages: ReadonlyArray<ReadonlyArray<CachedMessage>>) => {
  const all = (direction === "before" ? pages.toReversed() : pages).flat()
  for (const [index, message] of all.entries()) {
    if (index > 0) assert.isBelow(comparePositions(all[index - 1]!, message), 0)
  }
  const ids = all.map(({ message_id }) => message_id)
  assert.strictEqual(new Set(ids).size, ids.length)
  return all
}

const numbersOf = (messages: ReadonlyArray<CachedMessage>) =>
  messages.map(({ message_id }) => Number(message_id.slice(-12)))

const expected = (scope: HistoryScope, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index).filter((number) =>
    isInScope(scope, said(scope.queue, number) as unknown as CachedMessage),
  )

/** What happens at one moment of a walk. */
const disturbance = fc.oneof(
  fc.constant({ _tag: "nothing" as const }),
  fc.record({ _tag: fc.constant("append" as const), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ _tag: fc.constant("store" as const), entries: fc.integer({ min: 1, max: 25 }) }),
  fc.record({ _tag: fc.constant("acknowledge" as const) }),
  fc.record({ _tag: fc.constant("flush" as const), entries: fc.integer({ min: 1, max: 25 }) }),
  fc.record({ _tag: fc.constant("skip an id" as const) }),
)

type DisturbanceError = Effect.Effect.Error<ReturnType<typeof append> | ReturnType<typeof flush>>

/** Does one of the disturbances each time it is run, in their order and then from the beginning again. */
const disturb = (
  queue: QueueName,
  disturbances: ReadonlyArray<typeof disturbance extends fc.Arbitrary<infer T> ? T : never>,
  firstNumber: number,
) =>
  Effect.map(Effect.context<FlushQueue | MessageCache | MessageStore>(), (context) => {
    let step = 0
    let number = firstNumber
    let unacknowledged: ReadonlyArray<Uint8Array> = []
    const acknowledge = Effect.suspend(() =>
      Effect.flatMap(FlushQueue, (flushQueue) => flushQueue.acknowledge(queue, unacknowledged)),
    )
    return Effect.suspend(
      (): Effect.Effect<unknown, DisturbanceError, FlushQueue | MessageCache | MessageStore> => {
        const next = disturbances[step++ % disturbances.length]!
        switch (next._tag) {
          case "nothing":
            return Effect.void
          case "append": {
            const messages = Array.from({ length: next.count }, () => said(queue, number++))
            // So many that a walk forward comes to its end.
            return step > 60 ? Effect.void : append(queue, messages)
          }
          case "store":
            return Effect.map(store(queue, next.entries), (head) => {
              unacknowledged = head
            })
          case "acknowledge":
            return acknowledge
          case "flush":
            return flush(queue, next.entries)
          case "skip an id":
            return Effect.flatMap(FlushQueue, (flushQueue) => flushQueue.nextCacheId(queue))
        }
      },
    ).pipe(Effect.asVoid, Effect.orDie, Effect.provide(context))
  })

export const historyContract = <R>(backend: HistoryBackend<R>) => {
  layer(backend.environment)(`History: ${backend.name}`, (it) => {
    const test = <E>(title: string, body: Effect.Effect<void, E, CachePorts | StorePorts>) =>
      it.effect(title, () => Effect.provide(body, backend.ports))

    it.effect.prop(
      "loses and repeats nothing on the way, and keeps the order, whatever a flush does between any two readings",
      {
        scope: fc.constantFrom(...scopes),
        direction: fc.constantFrom("before" as const, "after" as const),
        limit: fc.integer({ min: 1, max: 12 }),
        stored: fc.integer({ min: 0, max: 25 }),
        repeated: fc.integer({ min: 0, max: 10 }),
        queued: fc.integer({ min: 0, max: 25 }),
        disturbances: fc.array(disturbance, { minLength: 1, maxLength: 12 }),
      },
      ({ scope, direction, limit, stored, repeated, queued, disturbances }) =>
        Effect.gen(function* () {
          yield* start
          const numbered = (from: number, count: number) =>
            Array.from({ length: count }, (_, index) => said(scope.queue, from + index))
          yield* append(scope.queue, numbered(1, stored))
          yield* flush(scope.queue)
          // Sent again after they were stored: shown where they were first.
          yield* append(scope.queue, numbered(1, Math.min(repeated, stored)))
          yield* append(scope.queue, numbered(stored + 1, queued))
          const before = stored + queued
          const disturbed = yield* disturbedHistory(yield* disturb(scope.queue, disturbances, before + 1))
          const seen = numbersOf(inOrder(direction, yield* walk(disturbed, scope, direction, limit)))
          assert.deepStrictEqual(
            seen.filter((number) => number <= before),
            expected(scope, 1, before),
          )
        }).pipe(Effect.provide(backend.ports)),
      { fastCheck: { numRuns: backend.runs } },
    )

    test(
      "answers the same page with the flush at every step of its way",
      Effect.gen(function* () {
        yield* start
        yield* append(
          "public",
          Array.from({ length: 12 }, (_, index) => said("public", index + 1)),
        )
        const { page } = yield* history
        const expectedPage = yield* page({ queue: "public", channel: "general" }, { limit: 3 })
        const walked = () => Effect.flatMap(history, (read) => walk(read, { queue: "public" }, "before", 5))
        const all = yield* walked()
        assert.deepStrictEqual(numbersOf(inOrder("before", all)), expected({ queue: "public" }, 1, 12))
        for (let flushed = 1; flushed <= 12; flushed++) {
          const head = yield* store("public", 1)
          assert.deepStrictEqual(yield* walked(), all)
          assert.deepStrictEqual(
            yield* page({ queue: "public", channel: "general" }, { limit: 3 }),
            expectedPage,
          )
          yield* (yield* FlushQueue).acknowledge("public", head)
          assert.deepStrictEqual(yield* walked(), all)
          assert.deepStrictEqual(
            yield* page({ queue: "public", channel: "general" }, { limit: 3 }),
            expectedPage,
          )
        }
      }),
    )

    test(
      "has a cursor for each direction in which there is more, and none at the ends",
      Effect.gen(function* () {
        yield* start
        const { page } = yield* history
        const scope = { queue: "private", userId: "ann" } as const
        assert.deepStrictEqual(yield* page(scope, {}), { messages: [] })
        const mine = expected(scope, 1, 12)
        yield* append(
          "private",
          Array.from({ length: 12 }, (_, index) => said("private", index + 1)),
        )
        yield* flush("private", 6)
        const newest = yield* page(scope, { limit: 2 })
        assert.deepStrictEqual(numbersOf(newest.messages), mine.slice(-2))
        assert.isUndefined(newest.next)
        const older = yield* page(scope, { before: newest.previous, limit: 1000 })
        assert.deepStrictEqual(numbersOf(older.messages), mine.slice(0, -2))
        assert.isUndefined(older.previous)
        const again = yield* page(scope, { after: older.next, limit: 1000 })
        assert.deepStrictEqual(numbersOf(again.messages), mine.slice(-2))
        assert.isUndefined(again.next)
        assert.strictEqual(again.previous, newest.previous)
        // Nothing is newer than the newest, and whoever waits for more goes on from there.
        const last = formatCursor(newest.messages.at(-1)!)
        assert.deepStrictEqual(yield* page(scope, { after: last }), { messages: [], previous: last })
        const first = formatCursor(older.messages[0]!)
        assert.deepStrictEqual(yield* page(scope, { before: first }), { messages: [], next: first })
      }),
    )

    test(
      "shows a message that is queued twice once, where it was first",
      Effect.gen(function* () {
        yield* start
        const { page } = yield* history
        yield* append("public", [said("public", 1), said("public", 2), said("public", 1), said("public", 3)])
        assert.deepStrictEqual(numbersOf((yield* page({ queue: "public" }, {})).messages), [1, 2, 3])
        yield* flush("public", 1)
        assert.deepStrictEqual(numbersOf((yield* page({ queue: "public" }, {})).messages), [1, 2, 3])
        assert.deepStrictEqual(numbersOf((yield* page({ queue: "public" }, { limit: 2 })).messages), [2, 3])
      }),
    )

    test(
      "keeps messages apart that were given the same cache_id because Valkey had lost its data",
      Effect.gen(function* () {
        yield* start
        const messages = (from: number) =>
          Array.from({ length: 9 }, (_, index) => said("public", from + index))
        yield* append("public", messages(11))
        yield* flush("public")
        yield* (yield* CacheControl).wipe
        yield* (yield* FlushQueue).raiseCounter("public", 4)
        yield* append("public", messages(1))
        const read = yield* history
        for (const direction of ["before", "after"] as const) {
          for (const limit of [1, 2, 3, 50]) {
            const seen = inOrder(direction, yield* walk(read, { queue: "public" }, direction, limit))
            assert.strictEqual(seen.length, 18)
          }
        }
      }),
    )

    test(
      "passes over what is not a message, and over what is between cursors of other scopes",
      Effect.gen(function* () {
        yield* start
        const cache = yield* MessageCache
        yield* append("public", [said("public", 1)])
        yield* cache.append("public", [{ payload: "[]", ownerId: "x" }])
        yield* append("public", [said("public", 2), said("public", 3)])
        const { page } = yield* history
        assert.deepStrictEqual(numbersOf((yield* page({ queue: "public" }, { limit: 2 })).messages), [2, 3])
        const between = { before: `3.${idOf(500)}`, limit: 5 }
        assert.deepStrictEqual(numbersOf((yield* page({ queue: "public" }, between)).messages), [1, 2])
      }),
    )

    test(
      "looks at a part of a long queue at a time, and the cursor goes on behind it",
      Effect.gen(function* () {
        yield* start
        yield* append("public", [said("public", 2)])
        const others = { ...said("public", 1), channel: "elsewhere" }
        yield* append(
          "public",
          Array.from({ length: 25_000 }, (_, index) => ({ ...others, message_id: idOf(1_000_000 + index) })),
        )
        const read = yield* history
        const scope = { queue: "public", channel: "random" } as const
        const pages = yield* walk(read, scope, "before", 10)
        assert.deepStrictEqual(numbersOf(pages.flat()), [2])
        assert.deepStrictEqual(
          pages.map(({ length }) => length),
          [0, 0, 1],
        )
      }),
    )

    test(
      "shows nothing that was deleted, stored or queued, and also while the store is away",
      Effect.gen(function* () {
        yield* start
        yield* append(
          "public",
          Array.from({ length: 20 }, (_, index) => said("public", index + 1)),
        )
        yield* flush("public", 8)
        const messageStore = yield* MessageStore
        const cache = yield* MessageCache
        for (const number of [4, 12, 17]) {
          const { shownTo } = yield* messageStore.transaction((transaction) =>
            transaction.deleteMessage("public", idOf(number)),
          )
          yield* cache.remove("public", idOf(number), shownTo)
        }
        const left = expected({ queue: "public" }, 1, 20).filter((number) => ![4, 12, 17].includes(number))
        const read = yield* history
        for (const direction of ["before", "after"] as const) {
          const seen = inOrder(direction, yield* walk(read, { queue: "public" }, direction, 3))
          assert.deepStrictEqual(numbersOf(seen), left)
        }
        const { page } = yield* historyWithout(messageStore)
        const newest = yield* page({ queue: "public" }, { limit: 4 })
        assert.deepStrictEqual(numbersOf(newest.messages), [16, 18, 19, 20])
      }),
    )

    test(
      "refuses what is no query, and says what to do",
      Effect.gen(function* () {
        const { page } = yield* history
        for (const [query, field] of [
          [{ before: "" }, "before"],
          [{ before: "12" }, "before"],
          [{ after: "x.00000000-0000-7000-8000-000000000001" }, "after"],
          [{ after: `9007199254740992.${idOf(1)}` }, "after"],
          [{ before: `1.${idOf(1)}`, after: `1.${idOf(1)}` }, "after"],
          [{ limit: 0 }, "limit"],
          [{ limit: 1001 }, "limit"],
          [{ limit: 1.5 }, "limit"],
        ] as const) {
          const error = yield* Effect.flip(page({ queue: "public" }, query))
          assert.strictEqual(error._tag, "InvalidHistoryQuery")
          if (error._tag === "InvalidHistoryQuery") {
            assert.deepStrictEqual(
              error.problems.map((problem) => problem.field),
              [field],
            )
          }
        }
      }),
    )

    test(
      "knows no channel and no user whose name cannot be stored",
      Effect.gen(function* () {
        const { page } = yield* history
        for (const name of ["\u0000", "a\u0000b", "\ud800"]) {
          assert.deepStrictEqual(yield* page({ queue: "public", channel: name }, {}), { messages: [] })
          assert.deepStrictEqual(yield* page({ queue: "private", userId: name }, {}), { messages: [] })
        }
      }),
    )

    test(
      "needs the store for what the queue does not hold, and not for a page that it fills",
      Effect.gen(function* () {
        yield* start
        yield* append(
          "public",
          Array.from({ length: 20 }, (_, index) => said("public", index + 1)),
        )
        yield* flush("public", 5)
        const messageStore = yield* MessageStore
        const { page } = yield* historyWithout(messageStore)
        const scope = { queue: "public" } as const
        const newest = yield* page(scope, { limit: 5 })
        assert.deepStrictEqual(numbersOf(newest.messages), [16, 17, 18, 19, 20])
        const older = yield* page(scope, { before: newest.previous, limit: 9 })
        assert.deepStrictEqual(numbersOf(older.messages), [7, 8, 9, 10, 11, 12, 13, 14, 15])
        // The tenth is the last one queued, and whether there are more is what the store knows.
        const last = yield* Effect.flip(page(scope, { before: newest.previous, limit: 10 }))
        assert.strictEqual(last._tag, "StoreUnavailable")
        const newer = yield* page(scope, { after: older.previous, limit: 3 })
        assert.deepStrictEqual(numbersOf(newer.messages), [8, 9, 10])
        const edge = yield* Effect.flip(page(scope, { after: `5.${idOf(5)}`, limit: 3 }))
        assert.strictEqual(edge._tag, "StoreUnavailable")
      }),
    )
  })
}
