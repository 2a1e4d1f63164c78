import { Context, type Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { State } from "../domain/State.ts"

export interface FoldedState {
  /** Position of the last event that is part of the state, 0 for none. */
  readonly position: number
  readonly state: State
  /** Position of the last `RateLimitChanged`, 0 for none. */
  readonly rateLimitPosition: number
}

/** The fold of the journal, kept up to date by reading on from where the last reading ended. */
export class JournalState extends Context.Tag("chat-cache/JournalState")<
  JournalState,
  {
    /**
     * Folds what has been recorded since, by any process, and returns the state. Fails within 30 seconds once PostgreSQL no
     * longer answers, however many ask.
     */
    readonly refresh: Effect.Effect<FoldedState, StoreError>
    /** The state as of the last refresh. Never fails and never waits, also when PostgreSQL is down. */
    readonly lastKnown: Effect.Effect<FoldedState>
  }
>() {}
