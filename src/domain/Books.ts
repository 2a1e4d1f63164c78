import { type Entry, salvageEntry } from "./Entry.ts"
import type { IdRange } from "./Ledger.ts"
import type { QuarantineTotals, QueueState } from "./State.ts"

/** What became of the messages of one queue since the journal began, as far as it is known. */
export interface QueueBooks {
  /** Messages that were taken and given an id, `null` when a server cannot be asked. */
  readonly accepted: number | null
  /** Rows added, by flushes and by replays, also of messages that were deleted since. */
  readonly stored: number
  /** Messages sent again with a `message_id` that was stored already: they got an id and no row. */
  readonly duplicates: number
  /** Messages that were deleted before they were stored: they were dropped from the queue. */
  readonly deleted: number
  readonly quarantine: QuarantineTotals
  /** Entries of the quarantine that no publisher of ours made: no id was given for them. */
  readonly foreign: number
  /** Entries of the queue that are neither stored nor quarantined yet, `null` when a server cannot be asked. */
  readonly queued: number | null
  /** The least number of accepted messages that Valkey has lost. */
  readonly lost: number
  /** True when each accepted message is accounted for once, `null` when a server cannot be asked. */
  readonly balanced: boolean | null
  /** Names what does not add up, `null` when everything does or a server cannot be asked. */
  readonly difference: string | null
}

/** A queue and its counter as they stood at one instant, before the journal was read. */
export interface QueueStanding {
  readonly length: number
  readonly head: Entry | undefined
  readonly lastCacheId: number | undefined
}

const rangeText = ({ from, to }: IdRange): string => (from === to ? `id ${from}` : `ids ${from} to ${to}`)

const shortage = (count: number, missing: IdRange | undefined): string =>
  `${count} accepted messages are neither queued nor stored nor quarantined${
    missing === undefined ? "" : ` (among ${rangeText(missing)})`
  }: Valkey has lost at least as many, unless ids were used up otherwise, by a counter that was raised by hand or a replay that failed.`

const surplus = (count: number, reseeds: number): string =>
  `${count} entries more than ids were given are queued, stored or quarantined: another program has queued them${
    reseeds === 0 ? "" : ", or Valkey has given ids again after it had gone back in time"
  }.`

const identified = ({ head }: QueueStanding): number | undefined =>
  head === undefined ? undefined : salvageEntry(head).cache_id

/** Where ids are missing: right before what is queued now, or where the journal saw it last. */
const missingRange = (
  { ledger }: QueueState,
  lastGiven: number,
  headId: number | undefined,
): IdRange | undefined => {
  const missingBefore = headId ?? lastGiven + 1
  return missingBefore > ledger.flushedThrough + 1
    ? { from: ledger.flushedThrough + 1, to: missingBefore - 1 }
    : (ledger.missing ?? undefined)
}

/**
 * How many entries at the head of the queue are settled already. Those at its end, whose ids no batch has brought, are
 * not, whatever somebody has put before them.
 */
const unacknowledged = (
  length: number,
  headId: number | undefined,
  lastGiven: number,
  flushedThrough: number,
): number => {
  if (headId === undefined || headId > flushedThrough) return 0
  return Math.max(0, Math.min(flushedThrough - headId + 1, length - (lastGiven - flushedThrough)))
}

/**
 * `accepted = stored by flushes + duplicates + deleted + quarantined - foreign + queued`.
 *
 * A flush that runs shows up as no difference. The standing is read first, so whatever has left the queue is in the
 * journal; and what is in both, because it is not acknowledged yet, is recognised by its id, since ids leave in order.
 */
export const queueBooks = (state: QueueState, standing: QueueStanding | undefined): QueueBooks => {
  const { flush, quarantine, ledger } = state
  const recorded = {
    stored: flush.persisted + ledger.rowsOfReplays + ledger.rowsOfImports,
    duplicates: flush.duplicates - ledger.repeated.duplicates,
    deleted: flush.deleted - ledger.repeated.deleted,
    quarantine,
    foreign: ledger.foreign,
  }
  if (standing === undefined) {
    return { accepted: null, ...recorded, queued: null, lost: 0, balanced: null, difference: null }
  }
  const headId = identified(standing)
  const lastGiven = Math.max(standing.lastCacheId ?? 0, ledger.flushedThrough)
  const queued = standing.length - unacknowledged(standing.length, headId, lastGiven, ledger.flushedThrough)
  const settled =
    flush.persisted + recorded.duplicates + recorded.deleted + flush.quarantined - ledger.foreign
  // Before the first batch nothing is known of the ids that were given before the queue's.
  const givenBefore =
    ledger.firstCacheId === null ? lastGiven - ledger.idsOfReplays - queued : ledger.firstCacheId - 1
  const accepted = lastGiven - givenBefore - ledger.idsOfReplays
  const difference = accepted - settled - queued
  return {
    accepted,
    ...recorded,
    queued,
    lost: Math.max(0, difference),
    balanced: difference === 0,
    difference:
      difference > 0
        ? shortage(difference, missingRange(state, lastGiven, headId))
        : difference < 0
          ? surplus(-difference, state.reseeds)
          : null,
  }
}
