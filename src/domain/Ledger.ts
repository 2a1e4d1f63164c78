import type { BatchPersisted, Event, QuarantineReason } from "./Event.ts"
import { highestCountedCacheId } from "./Message.ts"

/** Ids that were given, and that no batch has brought. */
export interface IdRange {
  readonly from: number
  readonly to: number
}

/** What the journal says of the ids of one queue, besides the totals. */
export interface Ledger {
  /** The first id that a batch brought, where the books begin; `null` before. */
  readonly firstCacheId: number | null
  /** The last id that a batch brought. Ids leave the queue in their order. */
  readonly flushedThrough: number
  /** Duplicates and deleted entries of batches that were read again: they were counted the first time. */
  readonly repeated: { readonly duplicates: number; readonly deleted: number }
  /** Quarantined entries that cannot be ours, because what we queue can be decoded. */
  readonly foreign: number
  /** Ids that replays took for messages without one. */
  readonly idsOfReplays: number
  readonly rowsOfReplays: number
  readonly rowsOfImports: number
  /** Rows of messages that were deleted. */
  readonly rowsDeleted: number
  /** The last ids that were missing before a batch. */
  readonly missing: IdRange | null
}

export const initialLedger: Ledger = {
  firstCacheId: null,
  flushedThrough: 0,
  repeated: { duplicates: 0, deleted: 0 },
  foreign: 0,
  idsOfReplays: 0,
  rowsOfReplays: 0,
  rowsOfImports: 0,
  rowsDeleted: 0,
  missing: null,
}

/** Entries that an earlier batch had settled and that were not acknowledged: none of them is stored or quarantined. */
const repeatedIn = ({ flushedThrough }: Ledger, batch: BatchPersisted): Ledger["repeated"] => {
  const { first_cache_id: first, last_cache_id: last, duplicates, deleted } = batch
  if (first === null || last === null || last <= flushedThrough) return { duplicates, deleted }
  const overlap = Math.max(0, flushedThrough - first + 1)
  const repeated = Math.min(duplicates, overlap)
  return { duplicates: repeated, deleted: Math.min(deleted, overlap - repeated) }
}

const addBatch = (ledger: Ledger, batch: BatchPersisted): Ledger => {
  const { first_cache_id: first, last_cache_id: last } = batch
  const repeated = repeatedIn(ledger, batch)
  const counted = {
    ...ledger,
    repeated: {
      duplicates: ledger.repeated.duplicates + repeated.duplicates,
      deleted: ledger.repeated.deleted + repeated.deleted,
    },
  }
  // No counter gives ids above the highest: such an entry was queued by hand.
  if (first === null || last === null || last > highestCountedCacheId) return counted
  const isGap = ledger.firstCacheId !== null && first > ledger.flushedThrough + 1
  return {
    ...counted,
    firstCacheId: ledger.firstCacheId ?? first,
    flushedThrough: Math.max(ledger.flushedThrough, last),
    missing: isGap ? { from: ledger.flushedThrough + 1, to: first - 1 } : ledger.missing,
  }
}

const undecodable: ReadonlyArray<QuarantineReason> = ["invalid_utf8", "invalid_json", "wrong_shape"]

/** @param event of this queue */
export const evolveLedger = (ledger: Ledger, event: Event): Ledger => {
  switch (event._tag) {
    case "BatchPersisted":
      return addBatch(ledger, event)
    case "MessageQuarantined":
      return undecodable.includes(event.reason) ? { ...ledger, foreign: ledger.foreign + 1 } : ledger
    case "QuarantineReplayed":
      return {
        ...ledger,
        idsOfReplays: ledger.idsOfReplays + (event.took_cache_id === true ? 1 : 0),
        rowsOfReplays: ledger.rowsOfReplays + (event.added_row === false ? 0 : 1),
      }
    case "MessageDeleted":
      return event.removed_row ? { ...ledger, rowsDeleted: ledger.rowsDeleted + 1 } : ledger
    case "MessagesImported":
      return { ...ledger, rowsOfImports: ledger.rowsOfImports + event.persisted }
    default:
      return ledger
  }
}
