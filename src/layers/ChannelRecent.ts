import { Cache, Data, Duration, Effect, Either, Exit, Fiber, Layer, Option } from "effect"
import { decodeEntry, type Entry } from "../domain/Entry.ts"
import { formatCursor, maximumHistoryLimit } from "../domain/History.ts"
import type { CachedPublicMessage } from "../domain/Message.ts"
import { ChannelRecent } from "../services/ChannelRecent.ts"
import { History } from "../services/History.ts"
import { MessageCache } from "../services/MessageCache.ts"
import { Settings } from "../services/Settings.ts"

/** Of so many channels this process remembers that the history has no more for their caches. */
const rememberedChannels = 10_000

/** How long that is believed of a cache that begins as it did. */
const rememberedFor = Duration.seconds(30)

/** After a failure, those who read next do not wait for another one. */
const failureRememberedFor = Duration.seconds(2)

/** Readers wait for the history no longer than this, and otherwise see what is cached. */
const patience = Duration.seconds(2)

/** A cache that is shorter than what was asked for. */
class ShortCache extends Data.Class<{
  readonly channel: string
  /** The place of its first entry; absent when it is empty. */
  readonly first: string | undefined
}> {}

/** `undefined` when the first entry is not a message: then nobody knows what comes before it. */
const shortCache = (channel: string, entries: ReadonlyArray<Entry>): ShortCache | undefined => {
  const [first] = entries
  if (first === undefined) return new ShortCache({ channel, first: undefined })
  const decoded = decodeEntry("public", first)
  return Either.isLeft(decoded) ? undefined : new ShortCache({ channel, first: formatCursor(decoded.right) })
}

const make = Effect.gen(function* () {
  const cache = yield* MessageCache
  const history = yield* History
  const { maxCacheSize } = yield* Settings
  const scope = yield* Effect.scope

  /** Puts in front of the cache what the history has before its first entry. Returns the cache if there is no more. */
  const complete = Effect.fn("ChannelRecent.complete")(function* (channel: string) {
    const entries = yield* cache.recentOfChannel(channel)
    const short = shortCache(channel, entries)
    const room = Math.min(maxCacheSize - entries.length, maximumHistoryLimit)
    if (short === undefined || room <= 0) return undefined
    const page = yield* history.page({ queue: "public", channel }, { before: short.first, limit: room })
    const older = page.messages as ReadonlyArray<CachedPublicMessage>
    const wasPut = yield* cache.prependToChannel(channel, entries[0], older)
    if (!wasPut || page.previous !== undefined) return undefined
    return older[0] === undefined ? short : new ShortCache({ channel, first: formatCursor(older[0]) })
  })

  /** Never fails, so that a failure is remembered like an answer. The value tells whether there was one. */
  const attempts: Cache.Cache<ShortCache, boolean> = yield* Cache.makeWith({
    capacity: rememberedChannels,
    lookup: ({ channel }: ShortCache): Effect.Effect<boolean> =>
      complete(channel).pipe(
        Effect.tap((known) => (known === undefined ? Effect.void : attempts.set(known, true))),
        Effect.as(true),
        Effect.catchAll((error) =>
          Effect.as(Effect.logDebug(`A channel is shown as it is cached: ${error.message}`), false),
        ),
      ),
    timeToLive: Exit.match({
      onFailure: () => failureRememberedFor,
      onSuccess: (answered) => (answered ? rememberedFor : failureRememberedFor),
    }),
  })

  /** In a fiber that is not that of the reader, who may leave while others wait for the same. */
  const attemptOnce = (short: ShortCache) =>
    attempts
      .get(short)
      .pipe(Effect.forkIn(scope), Effect.flatMap(Fiber.join), Effect.timeoutOption(patience), Effect.asVoid)

  const entries = Effect.fn("ChannelRecent.entries")(function* (
    channel: string,
    limit: number,
    most: number,
  ) {
    const cached = yield* cache.recentOfChannel(channel, most)
    if (cached.length >= Math.min(limit, maxCacheSize)) return cached
    const short = shortCache(channel, cached)
    if (short === undefined || Option.isSome(yield* attempts.getOptionComplete(short))) return cached
    yield* attemptOnce(short)
    return yield* cache.recentOfChannel(channel, most)
  })

  return ChannelRecent.of({ entries })
})

export const layer: Layer.Layer<ChannelRecent, never, MessageCache | History | Settings> = Layer.scoped(
  ChannelRecent,
  make,
)
