import { Context, type Duration, type Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { RecordedEvent } from "../domain/Event.ts"
import type { IdRange } from "../domain/Ledger.ts"
import type { QueueName } from "../domain/Message.ts"
import type { QuarantineEntry, QuarantineStatus } from "../domain/Quarantine.ts"
import type { QuarantineTotals } from "../domain/State.ts"

export interface StoredRow {
  readonly message_id: string
  readonly cache_id: number
}

/** An entry of the quarantine whose status is not the one that the journal tells. `null`: there is none. */
export interface QuarantineDifference {
  readonly id: number
  readonly held: QuarantineStatus | null
  readonly journalled: QuarantineStatus | null
}

/** What can be asked of the store as it was at one instant. Nothing here changes anything or waits for anybody. */
export interface StoreView {
  /** As `EventJournal.read`. */
  readonly events: (after: number, limit: number) => Effect.Effect<ReadonlyArray<RecordedEvent>, StoreError>

  readonly rowCount: (queue: QueueName) => Effect.Effect<number, StoreError>

  readonly quarantineTotals: (queue: QueueName) => Effect.Effect<QuarantineTotals, StoreError>

  /** As `MessageStore.greatestCacheId`. */
  readonly greatestCacheId: (queue: QueueName) => Effect.Effect<number, StoreError>

  /** Those of the message ids that have a row. */
  readonly storedIds: (
    queue: QueueName,
    messageIds: ReadonlyArray<string>,
  ) => Effect.Effect<ReadonlyArray<string>, StoreError>

  /** Those of the message ids that were deleted. */
  readonly deletedIds: (
    queue: QueueName,
    messageIds: ReadonlyArray<string>,
  ) => Effect.Effect<ReadonlyArray<string>, StoreError>

  /** As `StoreTransaction.quarantinedBytes`. */
  readonly quarantinedBytes: (
    queue: QueueName,
    cacheIds: ReadonlyArray<number>,
  ) => Effect.Effect<ReadonlyArray<Uint8Array>, StoreError>

  /** Open entries by ascending id, without those whose bytes are more than `maximumBytes`. */
  readonly openEntries: (
    queue: QueueName,
    page: { readonly after: number; readonly limit: number; readonly maximumBytes: number },
  ) => Effect.Effect<ReadonlyArray<QuarantineEntry>, StoreError>

  /** What the quarantine holds otherwise than the journal tells, by ascending id; `count` is that of all. */
  readonly quarantineDifferences: (
    queue: QueueName,
    limit: number,
  ) => Effect.Effect<
    { readonly count: number; readonly differences: ReadonlyArray<QuarantineDifference> },
    StoreError
  >

  /** For each range the number of rows with such a `cache_id`, without those that replays added. */
  readonly countRows: (
    queue: QueueName,
    ranges: ReadonlyArray<IdRange>,
  ) => Effect.Effect<ReadonlyArray<number>, StoreError>

  /**
   * Rows with such a `cache_id`, without those that replays added. First come those that were stored at a moment when
   * few others of the range were: the batch that brought the range has stored all of its rows at one moment.
   */
  readonly rowsWithin: (
    queue: QueueName,
    range: IdRange,
    limit: number,
  ) => Effect.Effect<ReadonlyArray<StoredRow>, StoreError>

  /** Ids of the range, which is a short one, that neither a row nor a quarantined entry has. */
  readonly missingWithin: (
    queue: QueueName,
    range: IdRange,
    limit: number,
  ) => Effect.Effect<ReadonlyArray<number>, StoreError>
}

/** The store as it is at one instant, for whoever compares its parts with each other. */
export class StoreSnapshot extends Context.Tag("chat-cache/StoreSnapshot")<
  StoreSnapshot,
  {
    /**
     * Everything that the body asks is answered as of the same instant. Ends within the deadline, even if the
     * server hangs.
     */
    readonly read: <A, E>(
      body: (view: StoreView) => Effect.Effect<A, E>,
      deadline: Duration.DurationInput,
    ) => Effect.Effect<A, E | StoreError>
  }
>() {}
