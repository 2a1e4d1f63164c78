import type { Effect, Scope } from "effect"
import type { PublicMessage } from "../../src/domain/Message.ts"
import type { Servers } from "../support/Question.ts"

export interface FlushWorkload {
  /** Goes before the name of every key. */
  readonly keyPrefix: string
  /** Rows in one transaction. */
  readonly batchSize: number
  /** What is queued at the beginning, in order. */
  readonly messages: ReadonlyArray<PublicMessage>
}

/** A way of moving everything from the queue of public messages into the table `chat_messages`. */
export interface FlushContestant {
  readonly name: string
  readonly baseline?: string
  readonly batchSize: number
  /** One message of how many is queued, where the rate is much lower. */
  readonly oneOf?: number
  /** One message of how many PostgreSQL refuses; none without. */
  readonly oneBadOf?: number
  /** Has the messages at hand and leaves the queue alone. */
  readonly ignoresQueue?: boolean
  /** Connects, and returns what works off the queue once. */
  readonly open: (workload: FlushWorkload) => Effect.Effect<Effect.Effect<void>, never, Servers | Scope.Scope>
}
