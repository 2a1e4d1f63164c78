import { Either, Schema } from "effect"
import { QuarantineEntryResolved } from "./Errors.ts"
import { type Event, QuarantineDiscarded, type QuarantineReason, QuarantineReplayed } from "./Event.ts"
import type { QueueName } from "./Message.ts"

/** `open` until somebody has stored the message after all, or given it up. */
export const QuarantineStatus = Schema.Literal("open", "replayed", "discarded")
export type QuarantineStatus = typeof QuarantineStatus.Type

/** A message that could not be stored, with the bytes as they were found in the queue. */
export interface QuarantineEntry {
  readonly id: number
  readonly queue: QueueName
  readonly cache_id: number | null
  readonly reason: QuarantineReason
  readonly sqlstate: string | null
  /** What was said about it, by PostgreSQL or by our own check. */
  readonly error: string
  readonly raw: Uint8Array
  readonly status: QuarantineStatus
  /** RFC 3339, UTC. */
  readonly quarantined_at: string
  readonly resolved_at: string | null
}

/** A quarantined entry on its way in: not numbered yet. */
export interface NewQuarantineEntry {
  readonly cacheId: number | null
  readonly reason: QuarantineReason
  readonly sqlstate: string | null
  readonly error: string
  readonly raw: Uint8Array
}

export type QuarantineCommand =
  | {
      readonly _tag: "Replay"
      readonly messageId: string
      readonly corrected: boolean
      readonly addedRow: boolean
      readonly tookCacheId: boolean
    }
  | { readonly _tag: "Discard" }

/** Where one entry stands. Commands and events are those of this entry alone. */
export interface QuarantineState {
  readonly id: number
  readonly queue: QueueName
  readonly status: QuarantineStatus
}

export const quarantineDecider = {
  initial: (id: number, queue: QueueName): QuarantineState => ({ id, queue, status: "open" }),

  /**
   * Doing again what has been done says nothing more. An entry that was discarded is not replayed, nor the reverse,
   * and a correction of what is stored already is refused instead of being dropped.
   */
  decide: (
    command: QuarantineCommand,
    state: QuarantineState,
  ): Either.Either<ReadonlyArray<QuarantineReplayed | QuarantineDiscarded>, QuarantineEntryResolved> => {
    const { id, queue, status } = state
    if (status === "open") {
      return Either.right([
        command._tag === "Discard"
          ? new QuarantineDiscarded({ queue, quarantine_id: id })
          : new QuarantineReplayed({
              queue,
              quarantine_id: id,
              message_id: command.messageId,
              corrected: command.corrected,
              added_row: command.addedRow,
              took_cache_id: command.tookCacheId,
            }),
      ])
    }
    const isRepetition =
      command._tag === "Discard" ? status === "discarded" : status === "replayed" && !command.corrected
    return isRepetition ? Either.right([]) : Either.left(new QuarantineEntryResolved({ id, status }))
  },

  evolve: (state: QuarantineState, event: Event): QuarantineState => {
    if (event._tag === "QuarantineReplayed" && event.quarantine_id === state.id) {
      return { ...state, status: "replayed" }
    }
    if (event._tag === "QuarantineDiscarded" && event.quarantine_id === state.id) {
      return { ...state, status: "discarded" }
    }
    return state
  },
}
