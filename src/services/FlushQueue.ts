import { Context, type Effect } from "effect"
import type { Entry } from "../domain/Entry.ts"
import type { CacheUnavailable, CounterMissing } from "../domain/Errors.ts"
import type { QueueName } from "../domain/Message.ts"

export interface ReadLimit {
  readonly entries: number
  readonly bytes: number
}

/** A queue as it stands at one instant. */
export interface QueueSnapshot {
  readonly length: number
  /** The entry that leaves next, `undefined` when the queue is empty. */
  readonly head: Entry | undefined
  /** The last id given, `undefined` when the counter is missing. */
  readonly lastCacheId: number | undefined
}

/** From which id on a queue is read, and in which direction: `before` towards its head. */
export interface QueueRange {
  readonly direction: "before" | "after"
  /** Without one, from the tail on; only `before` may be without. */
  readonly from: number | undefined
}

export interface QueuePage {
  /** Nearest to the id first. With its ties, which are on either side of it. */
  readonly entries: ReadonlyArray<Entry>
  /** Whether entries lie on the other side of the id as well. */
  readonly isInside: boolean
  /** Whether entries lie beyond those that were read. */
  readonly hasMore: boolean
}

/**
 * The logs of messages that PostgreSQL does not have yet. Entries are appended at the tail by `MessageCache.append`
 * and leave at the head by `acknowledge`, after PostgreSQL has committed them; nothing else removes one. Each operation ends within 24 seconds.
 */
export class FlushQueue extends Context.Tag("chat-cache/FlushQueue")<
  FlushQueue,
  {
    /**
     * Reads from the head without removing: at most `entries`, and no more after `bytes` are exceeded; at least one.
     *
     * @param expected what `following` has read. Where the queue begins with it by now, this very array is returned, and
     *   nothing is read again.
     */
    readonly head: (
      queue: QueueName,
      limit: ReadLimit,
      expected?: ReadonlyArray<Entry>,
    ) => Effect.Effect<ReadonlyArray<Entry>, CacheUnavailable>

    /** Reads what will be at the head once the first `skip` entries have left. */
    readonly following: (
      queue: QueueName,
      skip: number,
      limit: ReadLimit,
    ) => Effect.Effect<ReadonlyArray<Entry>, CacheUnavailable>

    /**
     * Reads from an id on without removing, in one atomic step: at most `entries`, and no more after `bytes` are exceeded;
     * at least one. Finds the place without reading what lies before it, as long as ids ascend from head to tail.
     */
    readonly page: (
      queue: QueueName,
      range: QueueRange,
      limit: ReadLimit,
    ) => Effect.Effect<QueuePage, CacheUnavailable>

    /**
     * Removes from the head exactly these entries, recognised by their content. Entries that are no longer there
     * (somebody else acknowledged them, the server lost its data) are passed over; others are never removed, so that
     * repeating or omitting the call is harmless. Works when the server is out of memory.
     *
     * @param entries what `head` returned, in that order
     * @returns the number of entries removed
     */
    readonly acknowledge: (
      queue: QueueName,
      entries: ReadonlyArray<Entry>,
    ) => Effect.Effect<number, CacheUnavailable>

    readonly length: (queue: QueueName) => Effect.Effect<number, CacheUnavailable>

    /** Queue and counter in one atomic step, so that they can be compared. */
    readonly snapshot: (queue: QueueName) => Effect.Effect<QueueSnapshot, CacheUnavailable>

    /** The last id given, or `undefined` when the counter is missing. */
    readonly lastCacheId: (queue: QueueName) => Effect.Effect<number | undefined, CacheUnavailable>

    /**
     * Raises the counter to `floor`, or to the id of the queue's last entry where that is higher; never lowers it.
     * Creates it when it is missing. Returns the value before (`undefined`: it was missing) and after.
     */
    readonly raiseCounter: (
      queue: QueueName,
      floor: number,
    ) => Effect.Effect<{ readonly before: number | undefined; readonly after: number }, CacheUnavailable>

    /** Gives the next id of the queue's counter without a message, for a replayed one that had none. */
    readonly nextCacheId: (queue: QueueName) => Effect.Effect<number, CacheUnavailable | CounterMissing>
  }
>() {}
