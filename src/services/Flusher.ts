import { Context, type Effect } from "effect"
import type {
  BooksOutOfBalance,
  CacheUnavailable,
  SchemaSuspected,
  ShuttingDown,
  StoreError,
} from "../domain/Errors.ts"
import type { QueueName } from "../domain/Message.ts"

/** Why a flush did not come to its end. What was not acknowledged stays queued. */
export type FlushError = StoreError | CacheUnavailable | SchemaSuspected | BooksOutOfBalance

/** What one flush did, over all its batches. */
export interface FlushReport {
  readonly persisted: number
  /** Entries that were rows already, such as those of a batch that was committed but not acknowledged. */
  readonly duplicates: number
  readonly quarantined: number
  /** Entries of messages that had been deleted: they are in no table. */
  readonly deleted: number
  /** Entries still in the queue. */
  readonly remaining: number
}

/** What the flush at the end did, as far as it came before the shutdown deadline. */
export interface DrainReport {
  readonly persisted: number
  readonly duplicates: number
  readonly quarantined: number
  readonly deleted: number
  /** Entries still in the queue, `undefined` when Valkey could not be asked. */
  readonly remaining: number | undefined
  /** True when everything that was queued when the drain began has left the queue. */
  readonly complete: boolean
}

/** What keeps a queue from being flushed. Messages are taken all the same, and stay queued. */
export interface FlushProblem {
  /** One sentence. */
  readonly reason: string
  /** Attempts that have failed since then. */
  readonly attempts: number
  /** RFC 3339, UTC. */
  readonly since: string
}

/** Moves both queues into PostgreSQL: one actor each, woken by length, by time, by request and by shutdown. */
export class Flusher extends Context.Tag("chat-cache/Flusher")<
  Flusher,
  {
    /**
     * Works off everything that the queue holds now. Fails with the error that stopped it, within 75 seconds once a server
     * no longer answers: an attempt that is under way comes to its own end first.
     */
    readonly flush: (queue: QueueName) => Effect.Effect<FlushReport, FlushError | ShuttingDown>

    /** Tells the queue's actor how long the queue is. Never waits. */
    readonly notifyLength: (queue: QueueName, length: number) => Effect.Effect<void>

    /** What keeps the queue from being flushed at the moment, `undefined` when nothing does. Never waits. */
    readonly problem: (queue: QueueName) => Effect.Effect<FlushProblem | undefined>

    /**
     * Whether both actors go on: each has taken a turn within the last minute, as it does every second when there is
     * nothing to do, and with every batch when there is. No operation of a turn may take that long. Never waits.
     */
    readonly isAlive: Effect.Effect<boolean>

    /**
     * Works off what both queues hold now, trying again until the shutdown deadline, then stops for good: within
     * 25 seconds, unless configured otherwise.
     * Repeating it returns the same reports.
     */
    readonly drain: Effect.Effect<Readonly<Record<QueueName, DrainReport>>>
  }
>() {}
