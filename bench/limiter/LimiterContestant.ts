import type { Effect, Scope } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import type { Servers } from "../support/Question.ts"

export interface LimiterWorkload {
  /** Goes before the name of every key. */
  readonly keyPrefix: string
  readonly drafts: ReadonlyArray<PublicMessageDraft>
  readonly callers: number
}

export interface Limiting {
  readonly keyOf: (userId: string) => string
  /** Asks once for each draft, and returns how many of them were refused. */
  readonly run: Effect.Effect<number>
}

/** A way of counting the messages of each user in Valkey and refusing those over a limit of 1. */
export interface LimiterContestant {
  readonly name: string
  readonly baseline?: string
  readonly open: (workload: LimiterWorkload) => Effect.Effect<Limiting, never, Servers | Scope.Scope>
}
