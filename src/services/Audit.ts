import { Context, type Effect } from "effect"
import type { AuditCheck } from "../domain/AuditCheck.ts"
import type { CacheUnavailable, StoreError } from "../domain/Errors.ts"
import type { QueueName } from "../domain/Message.ts"
import type { QuarantineTotals } from "../domain/State.ts"

/** One thing that does not add up. */
export interface AuditFinding {
  /**
   * - `error`: something is gone or was changed behind the back of chat-cache.
   * - `warning`: nothing is lost, somebody should look at it.
   * - `notice`: normal, such as what a crash leaves to be tidied up by the next flush.
   */
  readonly severity: "error" | "warning" | "notice"
  readonly check: AuditCheck
  readonly queue: QueueName
  /** How many messages, rows, entries or events it is about. */
  readonly count: number
  /** What is wrong and how to repair it. */
  readonly reason: string
  /** Some of them, by what they can be found with, such as `message_id 0199…` or `cache_id 7`. Never what was said. */
  readonly examples: ReadonlyArray<string>
}

/** What was counted of one queue. */
export interface QueueCount {
  /** Rows of its table. */
  readonly rows: number
  /** Rows that the table has according to the journal. */
  readonly rowsJournalled: number
  readonly quarantine: QuarantineTotals
  /** Entries in the queue. */
  readonly queued: number
}

/** The books, recounted. */
export interface AuditReport {
  /** True when there is no finding of severity `error`. */
  readonly consistent: boolean
  /** The worst first. */
  readonly findings: ReadonlyArray<AuditFinding>
  readonly queues: Readonly<Record<QueueName, QueueCount>>
  /** Position of the last event that was counted. */
  readonly journalPosition: number
  readonly durationMs: number
}

/** Why the books could not be recounted: a server did not answer. */
export type AuditError = StoreError | CacheUnavailable

/** Recounts the books from what the servers hold, and names what does not add up. */
export class Audit extends Context.Tag("chat-cache/Audit")<
  Audit,
  {
    /**
     * Reads everything and changes nothing, on a running system and without holding it up: the tables as of one
     * instant, the queues and caches in samples. Ends within 60 seconds, waiting for an audit that is under way included,
     * with `StoreUnavailable` where that was too short.
     */
    readonly report: Effect.Effect<AuditReport, AuditError>
  }
>() {}
