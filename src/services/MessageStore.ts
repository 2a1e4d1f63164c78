import { Context, type Effect } from "effect"
import type { QuarantineEntryNotFound, RowsRefused, StoreError } from "../domain/Errors.ts"
import type { Event } from "../domain/Event.ts"
import type { HistoryRange, HistoryScope, StoredPart } from "../domain/History.ts"
import type { CachedMessage, QueueName } from "../domain/Message.ts"
import type { NewQuarantineEntry, QuarantineEntry } from "../domain/Quarantine.ts"

export interface InsertReport {
  /** Rows added. */
  readonly inserted: number
  /** Indexes of the messages whose `message_id` is stored with other content. They were not added. */
  readonly conflicts: ReadonlyArray<number>
  /** Indexes of the messages that were deleted before. They were not added. */
  readonly deleted: ReadonlyArray<number>
}

export interface DeletionReport {
  /** False when the message had been deleted before. */
  readonly isNew: boolean
  /** Whose recent caches show the message, as far as it ever was stored: its channel, or its author and recipient. */
  readonly shownTo: ReadonlyArray<string>
}

/** What can be done inside one transaction. All of it becomes visible together, or none of it. */
export interface StoreTransaction {
  /**
   * Waits (at most a second, then `StoreUnavailable`) until no other transaction holds the queue's lock, and holds it
   * until the end. It keeps batches of several daemons in order; no safety rests on it.
   *
   * @returns the greatest `cache_id` stored or quarantined by then of those that counters give, 0 when there is none
   */
  readonly lockQueue: (queue: QueueName) => Effect.Effect<number, StoreError>

  /**
   * Adds the messages that are not stored yet, in one statement. A message that is already stored with the same
   * content (`cache_id` and `authored_at` do not count) is passed over, and so is one that was deleted: no order of
   * insertions and deletions brings a deleted message back. With `RowsRefused` none of these messages was added, and the
   * transaction goes on as if the call had not been made.
   */
  readonly insert: (
    queue: QueueName,
    messages: ReadonlyArray<CachedMessage>,
  ) => Effect.Effect<InsertReport, RowsRefused | StoreError>

  /**
   * Deletes the message with this id, and has `insert` pass over it from now on, whether or not it was ever seen. Waits
   * for transactions that are inserting (at most a second, then `StoreUnavailable`), and has later ones wait.
   */
  readonly deleteMessage: (queue: QueueName, messageId: string) => Effect.Effect<DeletionReport, StoreError>

  /**
   * Adds open quarantine entries. Returns their ids, in order: `undefined` for one whose bytes are in the quarantine of
   * this queue already, whatever became of it since. That one is passed over.
   */
  readonly quarantine: (
    queue: QueueName,
    entries: ReadonlyArray<NewQuarantineEntry>,
  ) => Effect.Effect<ReadonlyArray<number | undefined>, StoreError>

  /** The bytes of the quarantine entries with these `cache_id`s, whatever became of them. */
  readonly quarantinedBytes: (
    queue: QueueName,
    cacheIds: ReadonlyArray<number>,
  ) => Effect.Effect<ReadonlyArray<Uint8Array>, StoreError>

  /**
   * For each message the `message_id` of one that is stored with the same content and time, whatever its id, or
   * `undefined`. For rows of another program, which had no ids.
   *
   * @param sameCacheId whether `cache_id` has to be the same, too: then the times may differ by less than a second
   */
  readonly storedTwins: (
    queue: QueueName,
    messages: ReadonlyArray<CachedMessage>,
    sameCacheId: boolean,
  ) => Effect.Effect<ReadonlyArray<string | undefined>, StoreError>

  /** Reads a quarantine entry and keeps other transactions from resolving it meanwhile. */
  readonly lockQuarantineEntry: (
    id: number,
  ) => Effect.Effect<QuarantineEntry, QuarantineEntryNotFound | StoreError>

  readonly resolveQuarantineEntry: (
    id: number,
    status: "replayed" | "discarded",
  ) => Effect.Effect<void, StoreError>

  /** Appends events to the journal, in order. Other writers of the journal wait until this transaction ends. */
  readonly journal: (events: ReadonlyArray<Event>) => Effect.Effect<void, StoreError>
}

/** Which entries of the quarantine to list: the open ones of both queues unless it says otherwise. */
export interface QuarantineFilter {
  readonly queue?: QueueName | undefined
  readonly status?: QuarantineEntry["status"] | undefined
  /** Only entries with a greater id. */
  readonly after?: number | undefined
  readonly limit: number
}

/**
 * PostgreSQL: messages, quarantine and journal, changed only in transactions. What only reads ends within 15 seconds, even
 * if the server hangs.
 */
export class MessageStore extends Context.Tag("chat-cache/MessageStore")<
  MessageStore,
  {
    /**
     * Runs the body in one transaction: COMMIT when it succeeds, ROLLBACK when it fails or is interrupted.
     * `StoreUnavailable` may mean that the reply to COMMIT was lost: running the body again is harmless, because what
     * is stored already is passed over. Ends within 30 seconds, even if the server hangs.
     */
    readonly transaction: <A, E>(
      body: (transaction: StoreTransaction) => Effect.Effect<A, E>,
    ) => Effect.Effect<A, E | StoreError>

    /**
     * Does the part of a later `insert` of this very array that needs no server. It is for the time in which the server is
     * at work, and may be left out.
     */
    readonly prepareInsert: (queue: QueueName, messages: ReadonlyArray<CachedMessage>) => Effect.Effect<void>

    /** The greatest `cache_id` stored or quarantined of those that counters give, 0 when there is none. */
    readonly greatestCacheId: (queue: QueueName) => Effect.Effect<number, StoreError>

    /**
     * The first `limit` messages of a range, and which of the queued ones are stored or deleted, as of one moment. Its cost does not
     * grow with the table.
     */
    readonly history: (
      scope: HistoryScope,
      range: HistoryRange,
      limit: number,
      queuedIds: ReadonlyArray<string>,
    ) => Effect.Effect<StoredPart, StoreError>

    /** Quarantine entries by ascending id. */
    readonly quarantineEntries: (
      filter: QuarantineFilter,
    ) => Effect.Effect<ReadonlyArray<QuarantineEntry>, StoreError>

    readonly quarantineEntry: (
      id: number,
    ) => Effect.Effect<QuarantineEntry, QuarantineEntryNotFound | StoreError>
  }
>() {}
