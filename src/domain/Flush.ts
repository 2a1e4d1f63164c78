import { Either } from "effect"
import { BooksOutOfBalance } from "./Errors.ts"
import {
  BatchPersisted,
  type Event,
  FlushFailed,
  FlushRecovered,
  type FlushTrigger,
  MessageQuarantined,
  type QuarantineReason,
} from "./Event.ts"
import type { QueueName } from "./Message.ts"

/** What became of one batch inside its transaction, before COMMIT. */
export interface BatchReport {
  readonly _tag: "RecordBatch"
  readonly queue: QueueName
  readonly trigger: FlushTrigger
  /** Number of entries that were read from the head of the queue. */
  readonly entries: number
  readonly firstCacheId: number | null
  readonly lastCacheId: number | null
  readonly persisted: number
  readonly duplicates: number
  readonly quarantined: ReadonlyArray<{
    readonly quarantineId: number
    readonly cacheId: number | null
    readonly reason: QuarantineReason
    readonly sqlstate: string | null
  }>
  /** Entries of messages that had been deleted. */
  readonly deleted: number
  readonly durationMs: number
}

/** A time without a successful flush, told when it is over. */
export interface OutageReport {
  readonly _tag: "RecordOutage"
  readonly queue: QueueName
  readonly reason: string
  readonly attempts: number
  readonly startedAt: string
  readonly durationMs: number
}

export interface FlushTotals {
  readonly batches: number
  readonly persisted: number
  readonly duplicates: number
  readonly quarantined: number
  readonly deleted: number
  readonly outages: number
  readonly lastBatch: BatchPersisted | null
}

/** Totals of one queue, over the whole journal. */
export const flushDecider = {
  initial: {
    batches: 0,
    persisted: 0,
    duplicates: 0,
    quarantined: 0,
    deleted: 0,
    outages: 0,
    lastBatch: null,
  } as FlushTotals,

  /** Refuses a batch whose entries are not all accounted for, so that it is never committed. */
  decide: (command: BatchReport | OutageReport): Either.Either<ReadonlyArray<Event>, BooksOutOfBalance> => {
    const { queue } = command
    if (command._tag === "RecordOutage") {
      return Either.right([
        new FlushFailed({
          queue,
          reason: command.reason,
          attempts: command.attempts,
          started_at: command.startedAt,
          duration_ms: command.durationMs,
        }),
        new FlushRecovered({ queue }),
      ])
    }
    const accounted = command.persisted + command.duplicates + command.quarantined.length + command.deleted
    if (accounted !== command.entries) {
      return Either.left(new BooksOutOfBalance({ queue, entries: command.entries, accounted }))
    }
    return Either.right([
      ...command.quarantined.map(
        (entry) =>
          new MessageQuarantined({
            queue,
            quarantine_id: entry.quarantineId,
            cache_id: entry.cacheId,
            reason: entry.reason,
            sqlstate: entry.sqlstate,
          }),
      ),
      new BatchPersisted({
        queue,
        trigger: command.trigger,
        first_cache_id: command.firstCacheId,
        last_cache_id: command.lastCacheId,
        persisted: command.persisted,
        duplicates: command.duplicates,
        quarantined: command.quarantined.length,
        deleted: command.deleted,
        duration_ms: command.durationMs,
      }),
    ])
  },

  evolve: (state: FlushTotals, event: Event): FlushTotals => {
    switch (event._tag) {
      case "BatchPersisted":
        return {
          ...state,
          batches: state.batches + 1,
          persisted: state.persisted + event.persisted,
          duplicates: state.duplicates + event.duplicates,
          quarantined: state.quarantined + event.quarantined,
          deleted: state.deleted + event.deleted,
          lastBatch: event,
        }
      case "FlushFailed":
        return { ...state, outages: state.outages + 1 }
      default:
        return state
    }
  },
}
