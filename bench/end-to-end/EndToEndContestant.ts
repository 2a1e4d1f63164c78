import type { Effect, Scope } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import type { Comparison } from "../support/Options.ts"
import type { Outcome, Servers } from "../support/Question.ts"

export interface EndToEndWorkload {
  /** Goes before the name of every key. */
  readonly keyPrefix: string
  readonly drafts: ReadonlyArray<PublicMessageDraft>
  /** Fibers that publish at once. */
  readonly callers: number
  /** Callers wait while more messages than this are in no table yet. */
  readonly maximumBacklog: number
  /** Connections to PostgreSQL, where the contestant leaves the choice. */
  readonly sockets: number
}

export interface EndToEnd {
  /** Publishes each draft once, and returns when all of them are stored. */
  readonly run: Effect.Effect<Outcome | void>
  /** Takes away what a run that came to its end leaves in Valkey. */
  readonly clear?: () => Promise<void>
}

/** A way from a caller to a row of `chat_messages`. */
export interface EndToEndContestant {
  readonly name: string
  readonly baseline?: string
  readonly comparison?: Comparison
  /** One message of how many is published, where the rate is much lower. */
  readonly oneOf?: number
  /** Loses messages by its nature, and says in a remark how many. */
  readonly loses?: boolean
  readonly open: (workload: EndToEndWorkload) => Effect.Effect<EndToEnd, never, Servers | Scope.Scope>
}
