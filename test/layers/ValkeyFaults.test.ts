import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Redis } from "iovalkey"
import * as FlushQueueValkey from "../../src/layers/FlushQueueValkey.ts"
import * as MessageCacheValkey from "../../src/layers/MessageCacheValkey.ts"
import * as RateLimitStoreValkey from "../../src/layers/RateLimitStoreValkey.ts"
import * as ValkeyLayer from "../../src/layers/valkey/Valkey.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { RateLimitStore } from "../../src/services/RateLimitStore.ts"
import type { Settings } from "../../src/services/Settings.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { publication, publications, settingsLayer, textOf } from "../contracts/CacheBackend.ts"
import { ControlledValkey, controlledValkey, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"
import { rawClient } from "./valkey/rawClient.ts"

const everything = { entries: 1_000_000, bytes: 1_000_000_000 }

const ports = (settings: Partial<typeof Settings.Service>) =>
  Effect.map(
    Layer.build(
      Layer.mergeAll(MessageCacheValkey.layer, FlushQueueValkey.layer, RateLimitStoreValkey.layer).pipe(
        Layer.provide(ValkeyLayer.layer),
        Layer.provide(settingsLayer(settings)),
      ),
    ),
    (context) => ({
      cache: Context.get(context, MessageCache),
      flushQueue: Context.get(context, FlushQueue),
      rateLimits: Context.get(context, RateLimitStore),
    }),
  )

/** The layers on the shared server, under a prefix that is full of what a glob takes for its own. */
const withRaw = Effect.gen(function* () {
  const prefix = `${yield* uniqueKeyPrefix}*[a-z]?\\:`
  const raw = yield* rawClient((yield* ValkeyServer).url)
  const rateLimit = { message_limit: 2, window_seconds: 60 }
  return { prefix, raw, ...(yield* ports({ keyPrefix: prefix, maxCacheSize: 3, rateLimit })) }
})

const command = <A>(run: () => Promise<A>) => Effect.promise(run)

it.scopedLive("bytes that are no UTF-8 are read as they are and can be acknowledged", () =>
  Effect.gen(function* () {
    const { prefix, raw, flushQueue, cache } = yield* withRaw
    const entries = [
      Buffer.from([0xff, 0xfe, 0x22]),
      Buffer.from("café", "latin1"),
      Buffer.from("café", "utf8"),
    ]
    yield* command(() => raw.rpush(`${prefix}flush_messages`, ...entries))
    yield* command(() => raw.rpush(`${prefix}recent_messages`, ...entries))
    const head = yield* flushQueue.head("public", everything)
    expect(head.map((entry) => Buffer.from(entry))).toEqual(entries)
    expect((yield* cache.recent()).map((entry) => Buffer.from(entry))).toEqual(entries)
    expect(yield* flushQueue.acknowledge("public", head.slice(0, 2))).toBe(2)
    // The first two are gone already, so this is recognised entry by entry.
    expect(yield* flushQueue.acknowledge("public", head)).toBe(1)
    expect(yield* flushQueue.length("public")).toBe(0)
  }).pipe(Effect.provide(valkeyShared)),
)

it.scopedLive("of entries that are alike, as many are removed as were read", () =>
  Effect.gen(function* () {
    const { prefix, raw, flushQueue } = yield* withRaw
    yield* command(() => raw.rpush(`${prefix}flush_messages`, "same", "same", "same", "other"))
    const head = yield* flushQueue.head("public", { entries: 2, bytes: 1000 })
    expect(yield* flushQueue.acknowledge("public", head)).toBe(2)
    expect(yield* flushQueue.acknowledge("public", head)).toBe(1)
    expect((yield* flushQueue.head("public", everything)).map(textOf)).toEqual(["other"])
  }).pipe(Effect.provide(valkeyShared)),
)

it.scopedLive("clearing and capping keep to the keys of the prefix, taken literally", () =>
  Effect.gen(function* () {
    const { prefix, raw, cache, flushQueue, rateLimits } = yield* withRaw
    // What the prefix would match, were it a glob.
    const neighbour = prefix.replace("*[a-z]?\\:", "xyz_:")
    yield* command(() => raw.rpush(`${neighbour}recent_private_messages:ann`, "theirs"))
    yield* command(() => raw.set(`${neighbour}ratelimit:ann`, 1))
    yield* flushQueue.raiseCounter("private", 0)
    yield* cache.append("private", [publication(1, "ann", "bob")])
    expect(yield* cache.clearAllPrivate).toBe(2)
    yield* rateLimits.apply({ message_limit: 1, window_seconds: 5 }, 1)
    expect(yield* command(() => raw.pttl(`${prefix}ratelimit:ann`))).toBeLessThanOrEqual(5000)
    expect(yield* command(() => raw.pttl(`${neighbour}ratelimit:ann`))).toBe(-1)
    expect(yield* command(() => raw.llen(`${neighbour}recent_private_messages:ann`))).toBe(1)
  }).pipe(Effect.provide(valkeyShared)),
)

it.scopedLive("clears and caps more keys than one step finds", () =>
  Effect.gen(function* () {
    const { prefix, raw, cache, rateLimits } = yield* withRaw
    const pipeline = raw.pipeline()
    for (let user = 0; user < 2500; user++) {
      pipeline.rpush(`${prefix}recent_private_messages:${user}`, "entry")
      pipeline.set(`${prefix}ratelimit:${user}`, 1, "EX", user % 2 === 0 ? 3 : 3600)
    }
    yield* command(() => pipeline.exec())
    expect(yield* cache.clearAllPrivate).toBe(2500)
    yield* rateLimits.apply({ message_limit: 1, window_seconds: 30 }, 1)
    const limiters = Array.from({ length: 2500 }, (_, user) => ["pttl", `${prefix}ratelimit:${user}`])
    const left = (yield* command(() => raw.pipeline(limiters).exec()))?.map(([, ttl]) => Number(ttl)) ?? []
    expect(Math.max(...left)).toBeLessThanOrEqual(30_000)
    expect(Math.max(...left.filter((_, user) => user % 2 === 0))).toBeLessThanOrEqual(3000)
  }).pipe(Effect.provide(valkeyShared)),
)

it.scopedLive(
  "caps counters for settings that another process put in force but may not have capped for, once",
  () =>
    Effect.gen(function* () {
      const { prefix, raw, rateLimits } = yield* withRaw
      const next = { message_limit: 1, window_seconds: 10 }
      yield* command(() => raw.hset(`${prefix}ratelimit_settings`, { ...next, position: 5 }))
      yield* command(() => raw.set(`${prefix}ratelimit:ann`, 1, "EX", 3600))
      yield* rateLimits.apply({ message_limit: 1, window_seconds: 1 }, 4)
      expect(yield* command(() => raw.ttl(`${prefix}ratelimit:ann`))).toBe(3600)
      yield* rateLimits.apply(next, 5)
      expect(yield* command(() => raw.pttl(`${prefix}ratelimit:ann`))).toBeLessThanOrEqual(10_000)
      yield* command(() => raw.set(`${prefix}ratelimit:bob`, 1, "EX", 3600))
      yield* rateLimits.apply(next, 5)
      expect(yield* command(() => raw.ttl(`${prefix}ratelimit:bob`))).toBe(3600)
    }).pipe(Effect.provide(valkeyShared)),
)

it.scopedLive(
  "reads the settings as the script does, and takes only what it has to from the configured ones",
  () =>
    Effect.gen(function* () {
      const { prefix, raw, rateLimits } = yield* withRaw
      const held = (fields: Record<string, string>) =>
        command(async () => {
          await raw.del(`${prefix}ratelimit_settings`)
          await raw.hset(`${prefix}ratelimit_settings`, fields)
        }).pipe(Effect.zipRight(rateLimits.settings))
      expect(yield* held({ message_limit: "7", window_seconds: "8" })).toEqual({
        message_limit: 7,
        window_seconds: 8,
      })
      expect(yield* held({ message_limit: "7" })).toEqual({ message_limit: 7, window_seconds: 60 })
      expect(yield* held({ message_limit: "many", window_seconds: "1.5" })).toBeUndefined()
      expect(yield* held({ message_limit: "0", window_seconds: "99999999999" })).toBeUndefined()
      expect(yield* held({ position: "3" })).toBeUndefined()
    }).pipe(Effect.provide(valkeyShared)),
)

it.scopedLive("keys of the wrong type refuse what needs them, and say so", () =>
  Effect.gen(function* () {
    const { prefix, raw, cache, flushQueue, rateLimits } = yield* withRaw
    yield* flushQueue.raiseCounter("public", 0)
    yield* command(() => raw.rpush(`${prefix}ratelimit:ann`, "x"))
    const { outcomes } = yield* cache.append("public", [publication(1, "ann"), publication(2, "bob")])
    expect(outcomes).toEqual([
      { _tag: "Refused", reason: expect.stringMatching(/^WRONGTYPE /) },
      { _tag: "Appended", cacheId: 1 },
    ])
    yield* command(() => raw.set(`${prefix}flush_private_messages`, "x"))
    yield* command(() => raw.set(`${prefix}recent_private_messages:ann`, "x"))
    yield* command(() => raw.set(`${prefix}ratelimit_settings`, "x"))
    yield* command(() => raw.set(`${prefix}cache_private_message_id`, "x"))
    const wrongType = {
      _tag: "CacheUnavailable",
      execution: "refused",
      reason: expect.stringMatching(/^WRONGTYPE /),
    }
    expect(yield* Effect.flip(cache.append("public", [publication(3, "bob")]))).toMatchObject(wrongType)
    expect(yield* Effect.flip(cache.recentPrivate("ann"))).toMatchObject(wrongType)
    expect(yield* Effect.flip(flushQueue.length("private"))).toMatchObject(wrongType)
    expect(yield* Effect.flip(flushQueue.head("private", everything))).toMatchObject(wrongType)
    expect(yield* Effect.flip(rateLimits.settings)).toMatchObject(wrongType)
    expect(yield* Effect.flip(flushQueue.nextCacheId("private"))).toMatchObject({
      execution: "refused",
      reason: expect.stringMatching(/^COUNTER_INVALID /),
    })
    expect(yield* flushQueue.length("public")).toBe(1)
  }).pipe(Effect.provide(valkeyShared)),
)

const outOfMemory = (raw: Redis) =>
  Effect.acquireRelease(
    command(() => raw.config("SET", "maxmemory", 1)),
    () => command(() => raw.config("SET", "maxmemory", 0)),
  )

it.live("a server out of memory takes nothing more, but its queue can be worked off", () =>
  Effect.gen(function* () {
    const raw = yield* rawClient((yield* ControlledValkey).url)
    const { cache, flushQueue } = yield* ports({})
    yield* flushQueue.raiseCounter("public", 0)
    yield* cache.append("public", publications(5, "ann"))
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* outOfMemory(raw)
        expect(yield* Effect.flip(cache.append("public", publications(1, "bob")))).toMatchObject({
          _tag: "CacheUnavailable",
          execution: "refused",
          reason: expect.stringMatching(/^OOM /),
        })
        const head = yield* flushQueue.head("public", { entries: 3, bytes: 1000 })
        expect(yield* flushQueue.acknowledge("public", head.slice(0, 1))).toBe(1)
        expect(yield* flushQueue.acknowledge("public", head)).toBe(2)
      }),
    )
    const { outcomes, queueLength } = yield* cache.append("public", publications(1, "bob"))
    expect(outcomes).toEqual([{ _tag: "Appended", cacheId: 6 }])
    expect(queueLength).toBe(3)
    expect(yield* command(() => raw.get("ratelimit:bob"))).toBe("1")
  }).pipe(Effect.scoped, Effect.provide(controlledValkey)),
)
