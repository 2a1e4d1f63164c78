import { Context, Duration, type Effect, Layer } from "effect"
import type { FlushQueue } from "../../src/services/FlushQueue.ts"
import type { MessageCache, Publication } from "../../src/services/MessageCache.ts"
import type { RateLimitStore } from "../../src/services/RateLimitStore.ts"
import { Settings } from "../../src/services/Settings.ts"

/** What a contract suite does to the state behind the ports, from outside of them. */
export class CacheControl extends Context.Tag("chat-cache/test/CacheControl")<
  CacheControl,
  {
    /** Loses everything, as FLUSHALL does. */
    readonly wipe: Effect.Effect<void>
    /** Lets time pass for what expires. */
    readonly elapse: (time: Duration.DurationInput) => Effect.Effect<void>
  }
>() {}

export type CachePorts = MessageCache | FlushQueue | RateLimitStore | CacheControl

/** An implementation of the three ports that share the state of the cache. */
export interface CacheBackend<Environment> {
  readonly name: string
  /** What is made once for a whole suite. */
  readonly environment: Layer.Layer<Environment>
  /** New ports over an empty state. */
  readonly ports: (settings?: Partial<typeof Settings.Service>) => Layer.Layer<CachePorts, never, Environment>
}

export const settingsLayer = (settings: Partial<typeof Settings.Service>): Layer.Layer<Settings> =>
  Layer.succeed(Settings, {
    keyPrefix: "",
    maxCacheSize: 500,
    channelIdleTime: Duration.days(1),
    flushInterval: Duration.minutes(2),
    flushBatchSize: 2000,
    flushBatchBytes: 8 * 1024 * 1024,
    maxQueueLength: 1_000_000,
    rateLimit: { message_limit: 1_000_000, window_seconds: 60 },
    shutdownTimeout: Duration.seconds(25),
    allowUnsafe: [],
    ...settings,
  })

/** A message that is told from all others by its number. */
export const publication = (number: number, ownerId: string, recipientId?: string): Publication => ({
  payload: JSON.stringify({ number }),
  ownerId,
  ...(recipientId === undefined ? {} : { recipientId }),
})

export const publications = (
  count: number,
  ownerId: string,
  recipientId?: string,
): ReadonlyArray<Publication> =>
  Array.from({ length: count }, (_, number) => publication(number, ownerId, recipientId))

export const textOf = (entry: Uint8Array): string => Buffer.from(entry).toString("utf8")

/** An entry as it must stand in the lists, byte for byte. */
export const entryText = (cacheId: number, payload: string): string =>
  `{"cache_id":${cacheId},"data":${payload}}`
