import type { QuarantineTotals } from "./State.ts"

/** What became of the messages of one queue since the journal began, as far as it is known. */
export interface QueueBooks {
  /** Ids given to messages that were taken. `null` when Valkey cannot be asked. */
  readonly accepted: number | null
  /** Rows added, by flushes and by replays. */
  readonly stored: number
  /** Messages sent again with a `message_id` that was stored already: they got an id and no row. */
  readonly duplicates: number
  readonly quarantine: QuarantineTotals
  /** Entries that no publisher of ours made: they are quarantined and were given no id. Part of `quarantine`. */
  readonly foreign: number
  /** Entries of the queue that are neither stored nor quarantined yet. `null` when Valkey cannot be asked. */
  readonly queued: number | null
  /** The least number of accepted messages that Valkey has lost. */
  readonly lost: number
  /** True when everything accepted is accounted for, `null` when Valkey cannot be asked. */
  readonly balanced: boolean | null
  /** Names the difference, `null` when there is none. */
  readonly difference: string | null
}
