import type { Effect, Scope } from "effect"
import type { Servers } from "../support/Question.ts"

export interface FlushWorkload {
  /** Goes before the name of every key. */
  readonly keyPrefix: string
  /** Rows in one transaction. */
  readonly batchSize: number
  /** Length of the queue at the beginning. */
  readonly messages: number
}

/** A way of moving everything from the queue of public messages into the table `chat_messages`. */
export interface FlushContestant {
  readonly name: string
  readonly baseline?: string
  readonly batchSize: number
  /** Connects, and returns what works off the queue once. */
  readonly open: (workload: FlushWorkload) => Effect.Effect<Effect.Effect<void>, never, Servers | Scope.Scope>
}
