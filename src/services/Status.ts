import { Context, type Effect } from "effect"
import type { QueueBooks } from "../domain/Books.ts"
import type { BatchPersisted } from "../domain/Event.ts"
import type { QueueName } from "../domain/Message.ts"
import type { RateLimitSettings } from "../domain/RateLimit.ts"
import type { QuarantineTotals } from "../domain/State.ts"
import type { FlushProblem } from "./Flusher.ts"

/** `ok`; `degraded`: messages are taken, but something needs attention; `unavailable`: messages cannot be taken. */
export type Condition = "ok" | "degraded" | "unavailable"

/** Whether messages can be taken. */
export interface Readiness {
  readonly status: Condition
  /** What is wrong, one sentence each. Empty exactly when the status is `ok`. */
  readonly problems: ReadonlyArray<string>
}

/** One queue and what has become of its messages. */
export interface QueueStatus {
  /** Entries in the queue, `null` when Valkey cannot be asked. */
  readonly length: number | null
  /** Age of the entry at the head of the queue, in milliseconds, `null` when there is none or it cannot be read. */
  readonly oldestAgeMs: number | null
  /** Totals over the whole journal. */
  readonly batches: number
  readonly persisted: number
  readonly duplicates: number
  readonly quarantined: number
  /** Entries of the queue that were dropped because their message had been deleted. */
  readonly deleted: number
  readonly quarantine: QuarantineTotals
  readonly outages: number
  readonly reseeds: number
  readonly lastBatch: BatchPersisted | null
  readonly problem: FlushProblem | null
  readonly books: QueueBooks
}

/** What is going on in this process, and what the journal knows of all. */
export interface StatusReport extends Readiness {
  readonly instanceId: string
  /** Of chat-cache. */
  readonly version: string
  /** RFC 3339, UTC. */
  readonly startedAt: string
  readonly queues: Readonly<Record<QueueName, QueueStatus>>
  readonly settings: RateLimitSettings & {
    readonly maxCacheSize: number
    readonly flushIntervalMs: number
    readonly flushBatchSize: number
    readonly maxQueueLength: number
    readonly shutdownTimeoutMs: number
  }
  /** Position of the last event that the totals contain. */
  readonly journalPosition: number
}

/** What is going on and what is wrong. Answers within seconds, whatever hangs. */
export class Status extends Context.Tag("chat-cache/Status")<
  Status,
  {
    /** Within 8 seconds. */
    readonly report: Effect.Effect<StatusReport>
    /** Within 4 seconds. */
    readonly readiness: Effect.Effect<Readiness>
  }
>() {}
