/**
 * `MessageCache`, `FlushQueue` and `RateLimitStore` over one state in memory, which takes the place of Valkey.
 *
 * For tests and for trying things out: it is the model that the Valkey layers are compared with, and it keeps nothing
 * when the process ends. Time is Effect's clock.
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import { type Entry, entryTextOf } from "../domain/Entry.ts"
import { CounterMissing } from "../domain/Errors.ts"
import { highestCountedCacheId, type QueueName } from "../domain/Message.ts"
import type { RateLimitSettings } from "../domain/RateLimit.ts"
import { FlushQueue, type QueuePage, type QueueRange, type ReadLimit } from "../services/FlushQueue.ts"
import {
  type AppendOutcome,
  type AppendReply,
  deletedIdsLast,
  maximumAppend,
  maximumDeletedIds,
  MessageCache,
  type Publication,
} from "../services/MessageCache.ts"
import { RateLimitStore } from "../services/RateLimitStore.ts"
import { Settings } from "../services/Settings.ts"

interface Limiter {
  count: number
  endsAt: number
}

interface ChannelCache {
  readonly entries: ReadonlyArray<Entry>
  readonly endsAt: number
}

interface State {
  queues: Record<QueueName, Array<Entry>>
  counters: Record<QueueName, number | undefined>
  recent: ReadonlyArray<Entry>
  recentOfChannel: Map<string, ChannelCache>
  recentPrivate: Map<string, ReadonlyArray<Entry>>
  /** By the time of the deletion, which orders them. */
  deleted: Record<QueueName, Map<string, number>>
  limiters: Map<string, Limiter>
  rateLimit: (RateLimitSettings & { readonly position: number }) | undefined
}

const emptyState = (): State => ({
  queues: { public: [], private: [] },
  counters: { public: undefined, private: undefined },
  recent: [],
  recentOfChannel: new Map(),
  recentPrivate: new Map(),
  deleted: { public: new Map(), private: new Map() },
  limiters: new Map(),
  rateLimit: undefined,
})

const encoder = new TextEncoder()

const hex = (entry: Entry): string => Buffer.from(entry).toString("hex")

const isSame = (one: Entry | undefined, other: Entry | undefined): boolean =>
  one === undefined || other === undefined ? one === other : hex(one) === hex(other)

const idOf = (entry: Entry): number => {
  const id = Number(/^\s*\{\s*"cache_id"\s*:\s*(\d+)/.exec(Buffer.from(entry).toString("latin1"))?.[1] ?? 0)
  return id <= highestCountedCacheId ? id : 0
}

/** Counts one message of a user. Returns the milliseconds to wait when it is over the limit. */
const countMessage = (
  state: State,
  userId: string,
  limit: RateLimitSettings,
  now: number,
): number | undefined => {
  const window = limit.window_seconds * 1000
  const running = state.limiters.get(userId)
  const limiter = running !== undefined && running.endsAt > now ? running : { count: 0, endsAt: now + window }
  limiter.count++
  limiter.endsAt = Math.min(limiter.endsAt, now + window)
  state.limiters.set(userId, limiter)
  return limiter.count > limit.message_limit ? limiter.endsAt - now : undefined
}

const makeMessageCache = (state: State, settings: typeof Settings.Service): typeof MessageCache.Service => {
  const newest = (cache: ReadonlyArray<Entry>, most = settings.maxCacheSize) => cache.slice(-most)

  const push = (cache: ReadonlyArray<Entry>, entry: Entry) => [...cache, entry].slice(-settings.maxCacheSize)

  const channelEntries = (channel: string, now: number): ReadonlyArray<Entry> => {
    const cache = state.recentOfChannel.get(channel)
    return cache !== undefined && cache.endsAt > now ? cache.entries : []
  }

  const keepChannel = (channel: string, entries: ReadonlyArray<Entry>, now: number): void => {
    state.recentOfChannel.set(channel, {
      entries: entries.slice(-settings.maxCacheSize),
      endsAt: now + Duration.toMillis(settings.channelIdleTime),
    })
  }

  const rememberPublic = ({ channel }: Publication, entry: Entry, now: number): void => {
    state.recent = push(state.recent, entry)
    if (channel !== undefined) keepChannel(channel, [...channelEntries(channel, now), entry], now)
  }

  const rememberPrivate = (publication: Publication, entry: Entry): void => {
    for (const userId of new Set([publication.ownerId, publication.recipientId ?? publication.ownerId])) {
      state.recentPrivate.set(userId, push(state.recentPrivate.get(userId) ?? [], entry))
    }
  }

  const take = (queue: QueueName, publication: Publication, now: number): AppendOutcome => {
    const entries = state.queues[queue]
    if (entries.length >= settings.maxQueueLength) return { _tag: "Full" }
    const wait = countMessage(state, publication.ownerId, state.rateLimit ?? settings.rateLimit, now)
    if (wait !== undefined) return { _tag: "Limited", retryAfterMs: wait }
    const cacheId = (state.counters[queue] ?? 0) + 1
    const entry = encoder.encode(`{"cache_id":${cacheId},"data":${publication.payload}}`)
    state.counters[queue] = cacheId
    entries.push(entry)
    if (queue === "public") rememberPublic(publication, entry, now)
    else rememberPrivate(publication, entry)
    return { _tag: "Appended", cacheId }
  }

  const forget = (queue: QueueName, messageId: string, shownTo: ReadonlyArray<string>): void => {
    const mark = `"message_id":"${messageId}"`
    const without = (cache: ReadonlyArray<Entry>) =>
      cache.filter((entry) => !Buffer.from(entry).includes(mark))
    if (queue === "public") {
      state.recent = without(state.recent)
      for (const channel of shownTo) {
        const held = state.recentOfChannel.get(channel)
        if (held !== undefined) {
          state.recentOfChannel.set(channel, { ...held, entries: without(held.entries) })
        }
      }
      return
    }
    for (const userId of shownTo) {
      const left = without(state.recentPrivate.get(userId) ?? [])
      if (left.length === 0) state.recentPrivate.delete(userId)
      else state.recentPrivate.set(userId, left)
    }
  }

  const remove = (queue: QueueName, messageId: string, shownTo: ReadonlyArray<string>, now: number): void => {
    const ids = state.deleted[queue]
    ids.delete(messageId)
    ids.set(messageId, now)
    for (const [id, deletedAt] of ids) {
      if (ids.size > maximumDeletedIds || deletedAt <= now - Duration.toMillis(deletedIdsLast)) ids.delete(id)
    }
    forget(queue, messageId, shownTo)
  }

  const deletedIds = (queue: QueueName, now: number): ReadonlySet<string> => {
    const newest = Math.max(...state.deleted[queue].values())
    return new Set(newest > now - Duration.toMillis(deletedIdsLast) ? state.deleted[queue].keys() : [])
  }

  return MessageCache.of({
    append: Effect.fn("MessageCache.append")(function* (queue, publications) {
      if (publications.length > maximumAppend) {
        return yield* Effect.dieMessage(`append takes at most ${maximumAppend} publications`)
      }
      if (state.counters[queue] === undefined) return yield* new CounterMissing({ queue })
      const now = yield* Clock.currentTimeMillis
      const outcomes = publications.map((publication) => take(queue, publication, now))
      return { outcomes, queueLength: state.queues[queue].length } satisfies AppendReply
    }),
    recent: (most) => Effect.sync(() => newest(state.recent, most)),
    recentOfChannel: (channel, most) =>
      Effect.map(Clock.currentTimeMillis, (now) => newest(channelEntries(channel, now), most)),
    prependToChannel: (channel, first, older) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const held = channelEntries(channel, now)
        if (!isSame(held[0], first)) return false
        const deleted = deletedIds("public", now)
        const entries = older.flatMap((message) =>
          deleted.has(message.message_id) ? [] : [encoder.encode(entryTextOf(message))],
        )
        if (entries.length > 0) keepChannel(channel, [...entries, ...held], now)
        return true
      }),
    recentPrivate: (userId, most) => Effect.sync(() => newest(state.recentPrivate.get(userId) ?? [], most)),
    deletedIds: (queue) => Effect.map(Clock.currentTimeMillis, (now) => deletedIds(queue, now)),
    remove: (queue, messageId, shownTo) =>
      Effect.map(Clock.currentTimeMillis, (now) => remove(queue, messageId, shownTo, now)),
    sample: (queue, limit) =>
      Effect.sync(() =>
        (queue === "public" ? state.recent : [...state.recentPrivate.values()].flat()).slice(-limit),
      ),
    clearPrivate: (userId) => Effect.sync(() => (state.recentPrivate.delete(userId) ? 1 : 0)),
    clearAllPrivate: Effect.sync(() => {
      const cleared = state.recentPrivate.size
      state.recentPrivate.clear()
      return cleared
    }),
  })
}

const makeFlushQueue = (state: State): typeof FlushQueue.Service => {
  const asFarAs = (limit: ReadLimit, entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
    const taken: Array<Entry> = []
    let bytes = 0
    for (const entry of entries.slice(0, limit.entries)) {
      bytes += entry.length
      if (bytes > limit.bytes && taken.length > 0) break
      taken.push(entry)
    }
    return taken
  }

  const read = (queue: QueueName, skip: number, limit: ReadLimit): ReadonlyArray<Entry> =>
    asFarAs(limit, state.queues[queue].slice(skip))

  const readPage = (queue: QueueName, { direction, from }: QueueRange, limit: ReadLimit): QueuePage => {
    const all = state.queues[queue]
    const isBefore = direction === "before"
    const first = isBefore ? (from ?? Number.POSITIVE_INFINITY) + 1 : (from ?? 0)
    const found = all.findIndex((entry) => idOf(entry) >= first)
    const place = found === -1 ? all.length : found
    const inRange = isBefore ? all.slice(0, place).toReversed() : all.slice(place)
    const entries = asFarAs(limit, inRange)
    return {
      entries,
      isInside: inRange.length < all.length,
      hasMore: entries.length < inRange.length,
    }
  }

  const removeFromHead = (queue: QueueName, entries: ReadonlyArray<Entry>): number => {
    const removable = new Map<string, number>()
    for (const entry of entries) removable.set(hex(entry), (removable.get(hex(entry)) ?? 0) + 1)
    let removed = 0
    for (const entry of state.queues[queue]) {
      const left = removable.get(hex(entry)) ?? 0
      if (left === 0) break
      removable.set(hex(entry), left - 1)
      removed++
    }
    state.queues[queue].splice(0, removed)
    return removed
  }

  return FlushQueue.of({
    head: (queue, limit, expected = []) =>
      Effect.sync(() => {
        const beginsWithExpected =
          expected.length > 0 && expected.every((entry, index) => isSame(entry, state.queues[queue][index]))
        return beginsWithExpected ? expected : read(queue, 0, limit)
      }),
    following: (queue, skip, limit) => Effect.sync(() => read(queue, skip, limit)),
    page: (queue, range, limit) => Effect.sync(() => readPage(queue, range, limit)),
    acknowledge: (queue, entries) => Effect.sync(() => removeFromHead(queue, entries)),
    length: (queue) => Effect.sync(() => state.queues[queue].length),
    snapshot: (queue) =>
      Effect.sync(() => ({
        length: state.queues[queue].length,
        head: state.queues[queue][0],
        lastCacheId: state.counters[queue],
      })),
    lastCacheId: (queue) => Effect.sync(() => state.counters[queue]),
    raiseCounter: (queue, floor) =>
      Effect.sync(() => {
        const before = state.counters[queue]
        const newest = state.queues[queue].at(-1)
        const after = Math.max(before ?? 0, floor, newest === undefined ? 0 : idOf(newest))
        state.counters[queue] = after
        return { before, after }
      }),
    nextCacheId: (queue) =>
      Effect.suspend(() => {
        const held = state.counters[queue]
        if (held === undefined) return new CounterMissing({ queue })
        state.counters[queue] = held + 1
        return Effect.succeed(held + 1)
      }),
  })
}

const makeRateLimitStore = (state: State): typeof RateLimitStore.Service =>
  RateLimitStore.of({
    settings: Effect.sync(() =>
      state.rateLimit === undefined
        ? undefined
        : { message_limit: state.rateLimit.message_limit, window_seconds: state.rateLimit.window_seconds },
    ),
    apply: (next, position) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (state.rateLimit !== undefined && state.rateLimit.position >= position) return
        state.rateLimit = { ...next, position }
        for (const limiter of state.limiters.values()) {
          limiter.endsAt = Math.min(limiter.endsAt, now + next.window_seconds * 1000)
        }
      }),
  })

/** The three ports over a new, empty state, and a way to lose all of it, as FLUSHALL does. */
export const make = Effect.gen(function* () {
  const settings = yield* Settings
  const state = emptyState()
  return {
    messageCache: makeMessageCache(state, settings),
    flushQueue: makeFlushQueue(state),
    rateLimitStore: makeRateLimitStore(state),
    wipe: Effect.sync(() => {
      Object.assign(state, emptyState())
    }),
  }
})

export const layer: Layer.Layer<MessageCache | FlushQueue | RateLimitStore, never, Settings> =
  Layer.effectContext(
    Effect.map(make, ({ messageCache, flushQueue, rateLimitStore }) =>
      Context.make(MessageCache, messageCache).pipe(
        Context.add(FlushQueue, flushQueue),
        Context.add(RateLimitStore, rateLimitStore),
      ),
    ),
  )
