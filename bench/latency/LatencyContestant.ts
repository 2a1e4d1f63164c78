import type { Effect, Scope } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import type { Servers } from "../support/Question.ts"

/** A way of publishing one message: succeeds with its id. */
export type PublishOne = (draft: PublicMessageDraft) => Effect.Effect<number>

export interface LatencyContestant {
  readonly name: string
  /** @param keyPrefix goes before the name of every key */
  readonly open: (keyPrefix: string) => Effect.Effect<PublishOne, never, Servers | Scope.Scope>
}
