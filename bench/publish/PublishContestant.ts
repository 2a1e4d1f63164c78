import type { Effect, Scope } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import type { Comparison } from "../support/Options.ts"
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

/** Publishes each draft once. It succeeds with the ids given, in the order of the drafts. */
export interface Publishing<Id = number> {
  readonly run: Effect.Effect<ReadonlyArray<Id>>
}

/** A program by others keeps messages in its own way, so that it has to look for them itself. */
export interface OtherPublishing extends Publishing<string> {
  readonly clear: () => Promise<void>
  /** What it holds: text of a message by id. */
  readonly read: () => Promise<ReadonlyMap<string, string>>
}

interface Entrant<Opened> {
  readonly name: string
  readonly baseline?: string
  /** Connects. */
  readonly open: (workload: PublishWorkload) => Effect.Effect<Opened, never, Servers | Scope.Scope>
}

/** A way of giving messages an id and putting them into the queue and the recent cache of public messages. */
export type PublishContestant = Entrant<Publishing>

export interface OtherPublishContestant extends Entrant<OtherPublishing> {
  readonly comparison: Comparison
  /** One message of how many is published, where the rate is much lower. */
  readonly oneOf: number
}
