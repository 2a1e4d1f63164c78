import type { Effect, Scope } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import type { Servers } from "../support/Question.ts"

export interface PublishWorkload {
  /** Goes before the name of every key. */
  readonly keyPrefix: string
  readonly drafts: ReadonlyArray<PublicMessageDraft>
  /** Fibers that publish at once, one message per call. */
  readonly callers: number
  /** Length of the recent cache. */
  readonly maxCacheSize: number
}

/** A way of giving messages an id and putting them into the queue and the recent cache of public messages. */
export interface PublishContestant {
  readonly name: string
  readonly baseline?: string
  /** Connects, and returns what publishes each draft once. It succeeds with the ids given, in the order of the drafts. */
  readonly open: (
    workload: PublishWorkload,
  ) => Effect.Effect<Effect.Effect<ReadonlyArray<number>>, never, Servers | Scope.Scope>
}
