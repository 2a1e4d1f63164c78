import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as fc from "fast-check"
import type { Entry } from "../../src/domain/Entry.ts"
import type { QueueName } from "../../src/domain/Message.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { RateLimitStore } from "../../src/services/RateLimitStore.ts"
import {
  type CacheBackend,
  CacheControl,
  type CachePorts,
  publication,
  textOf,
} from "../contracts/CacheBackend.ts"
import { memory, valkey } from "./cacheBackends.ts"

const queue = fc.constantFrom<Array<QueueName>>("public", "private")
const user = fc.constantFrom("ann", "bob")
const flusher = fc.integer({ min: 0, max: 1 })

/** Windows and passing times are chosen so that no window ends within a moment of a step, on either clock. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      _tag: fc.constant("append" as const),
      queue,
      from: user,
      to: user,
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constant("head" as const),
      queue,
      flusher,
      entries: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ _tag: fc.constant("acknowledge" as const), queue, flusher }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      _tag: fc.constant("raiseCounter" as const),
      queue,
      floor: fc.integer({ min: 0, max: 40 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("nextCacheId" as const), queue }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("clear" as const), user }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("clearAll" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      _tag: fc.constant("apply" as const),
      message_limit: fc.integer({ min: 1, max: 12 }),
      window_seconds: fc.constantFrom(10, 25, 60),
      position: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      _tag: fc.constant("elapse" as const),
      seconds: fc.constantFrom(7.3, 13.1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("wipe" as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** What two flushers have read last, on one backend. */
type Read = Record<QueueName, [ReadonlyArray<Entry>, ReadonlyArray<Entry>]>

/** @param position of the step in its sequence, by which no two messages are alike */
const perform = (ports: Context.Context<CachePorts>, read: Read, step: Step, position: number) =>
  Effect.gen(function* () {
    const cache = Context.get(ports, MessageCache)
    const flushQueue = Context.get(ports, FlushQueue)
    switch (step._tag) {
      case "append": {
        const to = step.queue === "private" ? step.to : undefined
        const batch = Array.from({ length: step.count }, (_, index) =>
          publication(position * 100 + index, step.from, to),
        )
        const { outcomes, queueLength } = yield* cache.append(step.queue, batch)
        // Of the times to wait, a moment passes between the two.
        return {
          queueLength,
          outcomes: outcomes.map((outcome) => (outcome._tag === "Limited" ? "Limited" : outcome)),
        }
      }
      case "head": {
        const head = yield* flushQueue.head(step.queue, { entries: step.entries, bytes: 300 })
        read[step.queue][step.flusher as 0 | 1] = head
        return head.map(textOf)
      }
      case "acknowledge":
        return yield* flushQueue.acknowledge(step.queue, read[step.queue][step.flusher as 0 | 1])
      case "raiseCounter":
        return yield* flushQueue.raiseCounter(step.queue, step.floor)
      case "nextCacheId":
        return yield* flushQueue.nextCacheId(step.queue)
      case "clear":
        return yield* cache.clearPrivate(step.user)
      case "clearAll":
        return yield* cache.clearAllPrivate
      case "apply":
        return yield* Context.get(ports, RateLimitStore).apply(step, step.position)
      case "elapse":
        return yield* Context.get(ports, CacheControl).elapse(step.seconds * 1000)
      case "wipe":
        return yield* Context.get(ports, CacheControl).wipe
    }
  }).pipe(Effect.catchTag("CounterMissing", (error) => Effect.succeed(error._tag)))

const observe = (ports: Context.Context<CachePorts>) =>
  Effect.gen(function* () {
    const cache = Context.get(ports, MessageCache)
    const flushQueue = Context.get(ports, FlushQueue)
    const limit = { entries: 1000, bytes: 1_000_000 }
    return {
      recent: (yield* cache.recent()).map(textOf),
      ann: (yield* cache.recentPrivate("ann")).map(textOf),
      bob: (yield* cache.recentPrivate("bob")).map(textOf),
      public: (yield* flushQueue.head("public", limit)).map(textOf),
      private: (yield* flushQueue.head("private", limit)).map(textOf),
      counters: [yield* flushQueue.lastCacheId("public"), yield* flushQueue.lastCacheId("private")],
      settings: yield* Context.get(ports, RateLimitStore).settings,
    }
  })

const settings = { maxCacheSize: 7, maxQueueLength: 25, rateLimit: { message_limit: 10, window_seconds: 25 } }

const build = <R>(backend: CacheBackend<R>) =>
  Effect.map(Layer.build(backend.ports(settings)), (ports) => ({
    ports,
    read: { public: [[], []], private: [[], []] } as Read,
  }))

layer(valkey.environment)("Valkey and the memory that stands in for it", (it) => {
  it.effect.prop(
    "answer alike and hold the same after any sequence of operations",
    { steps: fc.array(step, { minLength: 1, maxLength: 40 }) },
    ({ steps }) =>
      Effect.gen(function* () {
        const model = yield* build(memory)
        const real = yield* build(valkey)
        for (const ports of [model.ports, real.ports]) {
          yield* Context.get(ports, FlushQueue).raiseCounter("public", 0)
        }
        for (const [position, step] of steps.entries()) {
          const expected = yield* perform(model.ports, model.read, step, position)
          expect(yield* perform(real.ports, real.read, step, position)).toEqual(expected)
        }
        expect(yield* observe(real.ports)).toEqual(yield* observe(model.ports))
      }).pipe(Effect.scoped),
    { fastCheck: { numRuns: 100 } },
  )
})
