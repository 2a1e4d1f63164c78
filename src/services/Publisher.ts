import { Context, type Effect, type Either } from "effect"
import type {
  CacheUnavailable,
  InvalidMessage,
  QueueFull,
  RateLimited,
  ShuttingDown,
} from "../domain/Errors.ts"
import type { Accepted, QueueName } from "../domain/Message.ts"

/** Why a message was not, or not certainly, taken. */
export type PublishError = InvalidMessage | RateLimited | QueueFull | CacheUnavailable | ShuttingDown

export interface PublisherLoad {
  /** Messages waiting for a call of the script or for its answer. */
  readonly pending: number
  /** False once shutdown has begun. */
  readonly open: boolean
}

/**
 * Takes messages. Concurrent calls travel to Valkey together, without a timer: whatever waits goes with the next call.
 * A caller who is interrupted does not learn the outcome; its message may be taken all the same. Every message has its
 * outcome within 12 seconds once Valkey no longer answers.
 */
export class Publisher extends Context.Tag("chat-cache/Publisher")<
  Publisher,
  {
    /** @param draft unknown input: it is validated as a `PublicMessageDraft` or a `PrivateMessageDraft` */
    readonly publish: (queue: QueueName, draft: unknown) => Effect.Effect<Accepted, PublishError>

    /** Each message gets its own outcome, in order; none depends on another's. */
    readonly publishAll: (
      queue: QueueName,
      drafts: ReadonlyArray<unknown>,
    ) => Effect.Effect<ReadonlyArray<Either.Either<Accepted, PublishError>>>

    /** Never waits. */
    readonly load: Effect.Effect<PublisherLoad>

    /** Refuses new messages with `ShuttingDown` from now on, and returns when those under way have their outcome. */
    readonly close: Effect.Effect<void>
  }
>() {}
