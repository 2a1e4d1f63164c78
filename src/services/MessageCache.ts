import { Context, Duration, type Effect } from "effect"
import type { Entry } from "../domain/Entry.ts"
import type { CacheUnavailable, CounterMissing } from "../domain/Errors.ts"
import type { CachedPublicMessage, QueueName } from "../domain/Message.ts"

/** A valid message on its way in. Only text that our own `JSON.stringify` made may be a payload: it is spliced. */
export interface Publication {
  readonly payload: string
  /** Whose rate limit counts it, and for a private message one of the two whose recent cache shows it. */
  readonly ownerId: string
  /** The other one; absent for a public message. May equal `ownerId`: then the message is cached once. */
  readonly recipientId?: string
  /** Of a public message: whose recent cache shows it, beside that of all channels. */
  readonly channel?: string
}

export type AppendOutcome =
  | { readonly _tag: "Appended"; readonly cacheId: number }
  | { readonly _tag: "Limited"; readonly retryAfterMs: number }
  | { readonly _tag: "Full" }
  /** This message alone could not be taken, for a reason of Valkey's, such as a key of the wrong type. */
  | { readonly _tag: "Refused"; readonly reason: string }

export interface AppendReply {
  /** One outcome per publication, in order. */
  readonly outcomes: ReadonlyArray<AppendOutcome>
  /** Length of the flush queue afterwards. */
  readonly queueLength: number
}

/** The most publications of one `append`. */
export const maximumAppend = 1000

/** They travel to every reader, so that they must stay few. */
export const maximumDeletedIds = 1000

/** Longer than any queue should wait for PostgreSQL. */
export const deletedIdsLast = Duration.days(7)

/**
 * The recent messages, and the one door to the flush queues. Each operation ends within 12 seconds once the server no
 * longer answers.
 */
export class MessageCache extends Context.Tag("chat-cache/MessageCache")<
  MessageCache,
  {
    /**
     * Takes up to `maximumAppend` messages in one atomic step: each is counted against its owner's rate limit, gets
     * the next id, and is appended to the flush queue and to its recent cache(s), which keep the newest
     * `maxCacheSize`. The cache of a channel expires when no message has come for `channelIdleTime`. A message that is limited leaves no trace but its count; one that finds the queue full leaves
     * none at all. With `CounterMissing` nothing was executed.
     */
    readonly append: (
      queue: QueueName,
      publications: ReadonlyArray<Publication>,
    ) => Effect.Effect<AppendReply, CacheUnavailable | CounterMissing>

    /**
     * The newest `most` public entries, and never more than `maxCacheSize`, oldest first, as they are: not decoded, not
     * de-duplicated. Its cost does not grow with the cache.
     */
    readonly recent: (most?: number) => Effect.Effect<ReadonlyArray<Entry>, CacheUnavailable>

    /** The recent entries of the channel, in the same form. Older ones may be missing: the cache may be new. */
    readonly recentOfChannel: (
      channel: string,
      most?: number,
    ) => Effect.Effect<ReadonlyArray<Entry>, CacheUnavailable>

    /**
     * Puts older messages in front of the channel's cache as far as there is room, unless the cache no longer begins with
     * `first`, its first entry when it was read (`undefined`: it was empty). Returns whether it began so. Passes over what
     * is in `deletedIds`, since it may have been read before that.
     *
     * @param older oldest first, at most `maximumAppend`
     */
    readonly prependToChannel: (
      channel: string,
      first: Entry | undefined,
      older: ReadonlyArray<CachedPublicMessage>,
    ) => Effect.Effect<boolean, CacheUnavailable>

    /** The recent entries that the user sent or received, in the same form. */
    readonly recentPrivate: (
      userId: string,
      most?: number,
    ) => Effect.Effect<ReadonlyArray<Entry>, CacheUnavailable>

    /** Ids of the messages of a queue that were deleted last: readers pass over them. */
    readonly deletedIds: (queue: QueueName) => Effect.Effect<ReadonlySet<string>, CacheUnavailable>

    /**
     * Takes a deleted message out of the public cache and those of these channels, or out of the private caches of these
     * users, and adds it to `deletedIds`, which keep the last `maximumDeletedIds` for `deletedIdsLast`. Its cost does not grow with a queue.
     * Repeating it is harmless. Works when the server is out of memory.
     */
    readonly remove: (
      queue: QueueName,
      messageId: string,
      shownTo: ReadonlyArray<string>,
    ) => Effect.Effect<void, CacheUnavailable>

    /** The newest entries of the public cache, or of some private caches, at most `limit` in all. */
    readonly sample: (
      queue: QueueName,
      limit: number,
    ) => Effect.Effect<ReadonlyArray<Entry>, CacheUnavailable>

    /** Drops one user's private cache. Returns the number of caches dropped: 0 or 1. Queues are not touched. */
    readonly clearPrivate: (userId: string) => Effect.Effect<number, CacheUnavailable>

    /** Drops every private cache, in steps that never block the server. Returns the number of caches dropped. */
    readonly clearAllPrivate: Effect.Effect<number, CacheUnavailable>
  }
>() {}
