import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Exit } from "effect"
import * as fc from "fast-check"
import { encodePayload, entryTextOf } from "../../src/domain/Entry.ts"
import type { CachedPublicMessage, QueueName } from "../../src/domain/Message.ts"
import { publicMessage } from "./StoreBackend.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import {
  maximumAppend,
  maximumDeletedIds,
  MessageCache,
  type Publication,
} from "../../src/services/MessageCache.ts"
import {
  type CacheBackend,
  CacheControl,
  entryText,
  publication,
  publications,
  textOf,
} from "./CacheBackend.ts"

const everything = { entries: 1_000_000, bytes: 1_000_000_000 }

const texts = Effect.map((entries: ReadonlyArray<Uint8Array>) => entries.map(textOf))

const tags = (outcomes: ReadonlyArray<{ readonly _tag: string }>) => outcomes.map(({ _tag }) => _tag)

const start = (queue: QueueName) =>
  Effect.flatMap(FlushQueue, (flushQueue) => flushQueue.raiseCounter(queue, 0))

const message = (id: string, text = "", recipientId?: string): Publication => ({
  payload: JSON.stringify({ message_id: id, message: text }),
  ownerId: "ann",
  ...(recipientId === undefined ? {} : { recipientId }),
})

const uuidOf = (number: number): string => `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`

const user = fc.constantFrom("ann", "bob", "cleo")

const batches = fc.record({
  queue: fc.constantFrom<Array<QueueName>>("public", "private"),
  sizes: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 12 }) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 600 }) },
    ),
    { minLength: 1, maxLength: 6 },
  ),
  users: fc.array(fc.tuple(user, user), { minLength: 1, maxLength: 12 }),
  maxCacheSize: fc.oneof(fc.integer({ min: 1, max: 10 }), fc.constant(500)),
  maxQueueLength: fc.oneof(fc.integer({ min: 1, max: 700 }), fc.constant(1_000_000)),
  message_limit: fc.integer({ min: 1, max: 600 }),
})

/** What the lists must hold, told by the outcomes alone. */
class Expectation {
  readonly queue: Array<string> = []
  readonly recent: Array<string> = []
  readonly recentPrivate = new Map<string, Array<string>>()

  accept(queue: QueueName, { payload, ownerId, recipientId }: Publication, cacheId: number): void {
    const entry = entryText(cacheId, payload)
    this.queue.push(entry)
    if (queue === "public") this.recent.push(entry)
    else {
      for (const userId of new Set([ownerId, recipientId ?? ownerId])) {
        this.recentPrivate.set(userId, [...(this.recentPrivate.get(userId) ?? []), entry])
      }
    }
  }
}

export const messageCacheContract = <R>(backend: CacheBackend<R>) => {
  layer(backend.environment)(`MessageCache: ${backend.name}`, (it) => {
    it.effect("executes nothing while the counter is missing", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        const flushQueue = yield* FlushQueue
        const error = yield* Effect.flip(cache.append("public", [publication(1, "ann")]))
        expect(error).toMatchObject({ _tag: "CounterMissing", queue: "public" })
        expect(yield* cache.recent()).toEqual([])
        expect(yield* flushQueue.length("public")).toBe(0)

        yield* start("public")
        const { outcomes } = yield* cache.append("public", publications(2, "ann"))
        expect(tags(outcomes)).toEqual(["Appended", "Limited"])
        expect(yield* Effect.flip(cache.append("private", [publication(1, "ann", "bob")]))).toMatchObject({
          _tag: "CounterMissing",
          queue: "private",
        })
      }).pipe(Effect.provide(backend.ports({ rateLimit: { message_limit: 1, window_seconds: 60 } }))),
    )

    it.effect("gives ids in order and writes entries byte for byte", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        const flushQueue = yield* FlushQueue
        yield* flushQueue.raiseCounter("public", 123456789012344)
        const reply = yield* cache.append("public", [publication(1, "ann"), publication(2, "bob")])
        expect(reply).toEqual({
          outcomes: [
            { _tag: "Appended", cacheId: 123456789012345 },
            { _tag: "Appended", cacheId: 123456789012346 },
          ],
          queueLength: 2,
        })
        const entries = [
          '{"cache_id":123456789012345,"data":{"number":1}}',
          '{"cache_id":123456789012346,"data":{"number":2}}',
        ]
        expect(yield* texts(cache.recent())).toEqual(entries)
        expect(yield* texts(flushQueue.head("public", everything))).toEqual(entries)
        expect(yield* flushQueue.lastCacheId("public")).toBe(123456789012346)
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect("reads no more of a recent cache than it is asked for: the newest", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        yield* start("public")
        yield* start("private")
        const inChannel = publications(5, "ann").map((each) => ({ ...each, channel: "general" }))
        yield* cache.append("public", inChannel)
        yield* cache.append("private", publications(5, "ann", "bob"))
        const reads = [
          cache.recent,
          (most?: number) => cache.recentOfChannel("general", most),
          (most?: number) => cache.recentPrivate("bob", most),
        ]
        for (const read of reads) {
          const all = yield* texts(read())
          expect(all.length).toBe(4)
          expect(yield* texts(read(3))).toEqual(all.slice(-3))
          expect(yield* texts(read(9))).toEqual(all)
        }
      }).pipe(Effect.provide(backend.ports({ maxCacheSize: 4 }))),
    )

    it.effect("samples what it shows: the newest public entries, and some of several users", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        expect(yield* cache.sample("public", 10)).toEqual([])
        expect(yield* cache.sample("private", 10)).toEqual([])
        yield* start("public")
        yield* start("private")
        yield* cache.append("public", publications(5, "ann"))
        yield* cache.append("private", publications(2, "ann", "bob"))
        expect(yield* texts(cache.sample("public", 2))).toEqual((yield* texts(cache.recent())).slice(-2))
        const sampled = yield* texts(cache.sample("private", 10))
        const shown = yield* texts(cache.recentPrivate("ann"))
        expect(sampled.toSorted()).toEqual([...shown, ...shown].toSorted())
        expect((yield* cache.sample("private", 3)).length).toBe(3)
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect("tells the queue's length of an empty batch and refuses one that is too large", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        yield* start("public")
        yield* cache.append("public", publications(maximumAppend, "ann"))
        expect(yield* cache.append("public", [])).toEqual({ outcomes: [], queueLength: maximumAppend })
        const exit = yield* Effect.exit(cache.append("public", publications(maximumAppend + 1, "ann")))
        expect(Exit.isFailure(exit) && exit.cause._tag).toBe("Die")
        expect((yield* cache.append("public", [])).queueLength).toBe(maximumAppend)
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect.prop(
      "keeps the newest maxCacheSize of each list in order, and every accepted message in the queue once",
      { batches },
      ({ batches: { queue, sizes, users, maxCacheSize, maxQueueLength, message_limit } }) =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          const flushQueue = yield* FlushQueue
          const expected = new Expectation()
          const accepted = new Map<string, number>()
          yield* start(queue)
          let number = 0
          let lastId = 0
          for (const size of sizes) {
            const batch = Array.from({ length: size }, () => {
              const [ownerId, recipientId] = users[number % users.length]!
              return publication(number++, ownerId, queue === "private" ? recipientId : undefined)
            })
            const { outcomes, queueLength } = yield* cache.append(queue, batch)
            expect(outcomes.length).toBe(size)
            for (const [index, outcome] of outcomes.entries()) {
              const message = batch[index]!
              if (outcome._tag === "Appended") {
                expect(outcome.cacheId).toBe(++lastId)
                expected.accept(queue, message, outcome.cacheId)
                accepted.set(message.ownerId, (accepted.get(message.ownerId) ?? 0) + 1)
              } else if (outcome._tag === "Limited") {
                expect(accepted.get(message.ownerId)).toBe(message_limit)
              } else {
                expect(outcome._tag).toBe("Full")
                expect(expected.queue.length).toBe(maxQueueLength)
              }
            }
            expect(queueLength).toBe(expected.queue.length)
          }
          expect(Math.max(...accepted.values())).toBeLessThanOrEqual(message_limit)
          expect(yield* texts(flushQueue.head(queue, everything))).toEqual(expected.queue)
          expect(yield* texts(cache.recent())).toEqual(expected.recent.slice(-maxCacheSize))
          for (const userId of ["ann", "bob", "cleo"]) {
            expect(yield* texts(cache.recentPrivate(userId))).toEqual(
              (expected.recentPrivate.get(userId) ?? []).slice(-maxCacheSize),
            )
          }
        }).pipe(
          Effect.provide(
            backend.ports({
              maxCacheSize,
              maxQueueLength,
              rateLimit: { message_limit, window_seconds: 600 },
            }),
          ),
        ),
      { fastCheck: { numRuns: 40 } },
    )

    it.effect.prop(
      "returns payloads byte for byte, whatever Unicode they hold",
      { contents: fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 20 }) },
      ({ contents }) =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          const flushQueue = yield* FlushQueue
          yield* start("private")
          const samples = [
            ...contents,
            '"</script>[]{}\\',
            "12345678901234567890",
            "👩‍👩‍👧 \u2028\u0000",
            "${1+1} %s %.0f %1",
          ]
          const batch = samples.map((message) => ({
            payload: JSON.stringify({ message }),
            ownerId: "ann",
            recipientId: "bob",
          }))
          yield* cache.append("private", batch)
          const expected = batch.map(({ payload }, index) => entryText(index + 1, payload))
          expect(yield* texts(flushQueue.head("private", everything))).toEqual(expected)
          expect(yield* texts(cache.recentPrivate("bob"))).toEqual(expected)
        }).pipe(Effect.provide(backend.ports())),
      { fastCheck: { numRuns: 30 } },
    )

    it.effect("takes exactly the limit of each user, counts refused messages, and gives them no id", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        yield* start("public")
        const { outcomes } = yield* cache.append("public", [
          ...publications(5, "ann"),
          publication(6, "bob"),
          publication(7, "ann"),
        ])
        expect(tags(outcomes)).toEqual([
          "Appended",
          "Appended",
          "Appended",
          "Limited",
          "Limited",
          "Appended",
          "Limited",
        ])
        expect(outcomes[5]).toEqual({ _tag: "Appended", cacheId: 4 })
        for (const outcome of outcomes) {
          if (outcome._tag !== "Limited") continue
          expect(outcome.retryAfterMs).toBeGreaterThan(0)
          expect(outcome.retryAfterMs).toBeLessThanOrEqual(60_000)
        }
      }).pipe(Effect.provide(backend.ports({ rateLimit: { message_limit: 3, window_seconds: 60 } }))),
    )

    it.effect("leaves no trace of a message that finds the queue full, not even its count", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        const flushQueue = yield* FlushQueue
        yield* start("private")
        const { outcomes, queueLength } = yield* cache.append("private", [
          ...publications(2, "bob", "ann"),
          ...publications(4, "ann", "bob"),
        ])
        expect(tags(outcomes)).toEqual(["Appended", "Appended", "Appended", "Full", "Full", "Full"])
        expect(queueLength).toBe(3)
        expect((yield* cache.recentPrivate("ann")).length).toBe(3)

        yield* flushQueue.acknowledge("private", yield* flushQueue.head("private", everything))
        const next = yield* cache.append("private", publications(2, "ann", "bob"))
        expect(next.outcomes).toMatchObject([{ _tag: "Appended", cacheId: 4 }, { _tag: "Limited" }])
      }).pipe(
        Effect.provide(
          backend.ports({ maxQueueLength: 3, rateLimit: { message_limit: 2, window_seconds: 60 } }),
        ),
      ),
    )

    it.effect("shows a private message to both, and one to oneself once", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        yield* start("private")
        yield* cache.append("private", [publication(1, "ann", "bob"), publication(2, "ann", "ann")])
        expect(yield* texts(cache.recentPrivate("ann"))).toEqual([
          entryText(1, '{"number":1}'),
          entryText(2, '{"number":2}'),
        ])
        expect(yield* texts(cache.recentPrivate("bob"))).toEqual([entryText(1, '{"number":1}')])
        expect(yield* cache.recentPrivate("cleo")).toEqual([])
        expect(yield* cache.recent()).toEqual([])
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect(
      "keeps the newest messages of each channel, whatever it is called, until none has come for a while",
      () =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          const { elapse } = yield* CacheControl
          yield* start("public")
          const names = ["a", "a:b", "{a}", "*", "a\r\n", "😀", ""]
          const said = (number: number, channel: string) => ({ ...publication(number, "ann"), channel })
          yield* cache.append(
            "public",
            names.flatMap((name, n) => [1, 2, 3, 4].map((m) => said(10 * n + m, name))),
          )
          for (const [n, name] of names.entries()) {
            expect(yield* texts(cache.recentOfChannel(name))).toEqual(
              [2, 3, 4].map((m) => entryText(4 * n + m, `{"number":${10 * n + m}}`)),
            )
          }
          expect(yield* cache.recentOfChannel("b")).toEqual([])
          yield* elapse("40 seconds")
          yield* cache.append("public", [said(100, "a")])
          yield* elapse("40 seconds")
          expect((yield* cache.recentOfChannel("a")).length).toBe(3)
          expect(yield* cache.recentOfChannel("a:b")).toEqual([])
          yield* elapse("40 seconds")
          expect(yield* cache.recentOfChannel("a")).toEqual([])
          expect((yield* cache.recent()).length).toBe(3)
        }).pipe(Effect.provide(backend.ports({ maxCacheSize: 3, channelIdleTime: Duration.minutes(1) }))),
    )

    it.effect(
      "puts older messages in front of a channel's cache as far as there is room, if it begins as it did",
      () =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          const { elapse } = yield* CacheControl
          yield* start("public")
          const older = (...numbers: ReadonlyArray<number>) =>
            numbers.map((number) => publicMessage(number, { message: `é ${number}` }) as CachedPublicMessage)
          const entryOf = (number: number) => Buffer.from(textsOf(number)[0]!)
          const textsOf = (...numbers: ReadonlyArray<number>) => older(...numbers).map(entryTextOf)
          const shown = Effect.map(cache.recentOfChannel("a"), (entries) => entries.map(textOf))
          expect(yield* cache.prependToChannel("a", undefined, [])).toBe(true)
          expect(yield* shown).toEqual([])
          expect(yield* cache.prependToChannel("a", undefined, older(3, 4))).toBe(true)
          expect(yield* cache.prependToChannel("a", undefined, older(1))).toBe(false)
          expect(yield* cache.prependToChannel("a", entryOf(4), older(1))).toBe(false)
          yield* cache.append("public", [{ ...publication(5, "ann"), channel: "a" }])
          const first = (yield* cache.recentOfChannel("a"))[0]
          yield* cache.append("public", [{ ...publication(6, "ann"), channel: "a" }])
          yield* elapse("40 seconds")
          expect(yield* cache.prependToChannel("a", first, older(0, 1, 2))).toBe(true)
          yield* elapse("40 seconds")
          const all = [...textsOf(2, 3, 4), entryText(1, '{"number":5}'), entryText(2, '{"number":6}')]
          expect(yield* shown).toEqual(all)
          expect(yield* cache.prependToChannel("a", entryOf(2), older(1))).toBe(true)
          expect(yield* shown).toEqual(all)
        }).pipe(Effect.provide(backend.ports({ maxCacheSize: 5, channelIdleTime: Duration.minutes(1) }))),
    )

    it.effect("clears private caches and nothing else", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        const flushQueue = yield* FlushQueue
        yield* start("public")
        yield* start("private")
        yield* cache.append("public", publications(2, "ann"))
        yield* cache.append("private", [
          publication(1, "ann", "bob"),
          publication(2, "*", "[a-z]?"),
          publication(3, "ann:1", "\\"),
        ])
        expect(yield* cache.clearPrivate("ann")).toBe(1)
        expect(yield* cache.clearPrivate("ann")).toBe(0)
        expect(yield* cache.recentPrivate("ann")).toEqual([])
        expect((yield* cache.recentPrivate("bob")).length).toBe(1)

        expect(yield* cache.clearAllPrivate).toBe(5)
        expect(yield* cache.clearAllPrivate).toBe(0)
        expect(yield* cache.recentPrivate("bob")).toEqual([])
        expect((yield* cache.recent()).length).toBe(2)
        expect(yield* flushQueue.length("public")).toBe(2)
        expect(yield* flushQueue.length("private")).toBe(3)
        const { outcomes } = yield* cache.append("private", [publication(4, "ann", "bob")])
        expect(outcomes).toEqual([{ _tag: "Appended", cacheId: 4 }])
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect(
      "removes a public message from the caches of the channels that are named, and lets it in no more",
      () =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          yield* start("public")
          const said = [1, 2, 3].map(
            (number) => publicMessage(number, { channel: "a" }) as CachedPublicMessage,
          )
          const ids = said.map(({ message_id }) => message_id)
          const held = (channel: string) => Effect.map(cache.recentOfChannel(channel), ({ length }) => length)
          yield* cache.append(
            "public",
            ["a", "b"].flatMap((channel) =>
              said.map((content) => ({ payload: encodePayload(content), ownerId: "ann", channel })),
            ),
          )
          yield* cache.remove("public", ids[1]!, [])
          expect([yield* held("a"), yield* held("b")]).toEqual([3, 3])
          yield* cache.remove("public", ids[1]!, ["a", "c"])
          expect([yield* held("a"), yield* held("b"), yield* held("c")]).toEqual([2, 3, 0])
          // It was read before it was deleted.
          expect(yield* cache.prependToChannel("c", undefined, said)).toBe(true)
          expect(
            (yield* texts(cache.recentOfChannel("c"))).map((text) => JSON.parse(text).data.message_id),
          ).toEqual([ids[0], ids[2]])
        }).pipe(Effect.provide(backend.ports())),
    )

    it.effect("removes a message from the public list, wherever and however often it stands there", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        const flushQueue = yield* FlushQueue
        yield* start("public")
        const [one, two] = [uuidOf(1), uuidOf(2)]
        const pretender = message(two, `"message_id":"${one}" \\"message_id":"${one}"`)
        yield* cache.append("public", [message(one), message(two), message(one, "again"), pretender])
        expect([...(yield* cache.deletedIds("public"))]).toEqual([])
        yield* cache.remove("public", one, ["nobody"])
        yield* cache.remove("public", one, [])
        expect(yield* texts(cache.recent())).toEqual([
          entryText(2, message(two).payload),
          entryText(4, pretender.payload),
        ])
        expect([...(yield* cache.deletedIds("public"))]).toEqual([one])
        expect([...(yield* cache.deletedIds("private"))]).toEqual([])
        // The queue is the flusher's.
        expect(yield* flushQueue.length("public")).toBe(4)
      }).pipe(Effect.provide(backend.ports())),
    )

    it.effect(
      "removes a private message from the caches of the users that are named, and from no other",
      () =>
        Effect.gen(function* () {
          const cache = yield* MessageCache
          yield* start("private")
          const [one, two] = [uuidOf(1), uuidOf(2)]
          yield* cache.append("private", [message(one, "", "bob"), message(two, "", "bob")])
          yield* cache.remove("private", one, ["ann", "cleo"])
          const held = (userId: string) => Effect.map(cache.recentPrivate(userId), ({ length }) => length)
          expect([yield* held("ann"), yield* held("bob"), yield* held("cleo")]).toEqual([1, 2, 0])
          yield* cache.remove("private", one, ["bob"])
          expect([yield* held("ann"), yield* held("bob")]).toEqual([1, 1])
          yield* cache.remove("private", two, ["ann", "bob", "ann"])
          expect(yield* cache.clearAllPrivate).toBe(0)
          expect([...(yield* cache.deletedIds("private"))].sort()).toEqual([one, two])
        }).pipe(Effect.provide(backend.ports())),
    )

    it.effect("keeps the ids that were deleted last, and not more of them than a reader can bear", () =>
      Effect.gen(function* () {
        const cache = yield* MessageCache
        const ids = Array.from({ length: maximumDeletedIds + 20 }, (_, number) => uuidOf(number))
        yield* Effect.forEach(ids, (id) => cache.remove("public", id, []), { discard: true })
        const kept = yield* cache.deletedIds("public")
        expect(kept.size).toBe(maximumDeletedIds)
        expect(kept.has(ids.at(-1)!)).toBe(true)
        expect(kept.has(ids[0]!)).toBe(false)
      }).pipe(Effect.provide(backend.ports())),
    )
  })
}
