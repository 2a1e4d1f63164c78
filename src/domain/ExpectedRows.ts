import type { RecordedEvent } from "./Event.ts"
import type { IdRange } from "./Ledger.ts"
import { highestCountedCacheId, type QueueName } from "./Message.ts"

/** How many rows batches have stored with ids of a range: none where no batch has brought such an id. */
export interface ExpectedRows extends IdRange {
  readonly rows: number
}

const lowest = Number.MIN_SAFE_INTEGER
const highest = Number.MAX_SAFE_INTEGER

/**
 * Divides all ids into the ranges that the batches of a queue have brought and those between them.
 *
 * Ids leave a queue in order. Where they did not, because Valkey gave them again or somebody queued entries by hand, the
 * ranges tell too much or too little, and only their sum is right.
 */
export const expectedRows = (
  queue: QueueName,
  through: number | undefined,
  events: ReadonlyArray<RecordedEvent>,
): { readonly ranges: ReadonlyArray<ExpectedRows>; readonly through: number | undefined } => {
  const ranges: Array<ExpectedRows> = []
  let after = through
  for (const { event } of events) {
    if (event._tag !== "BatchPersisted" || event.queue !== queue) continue
    const { first_cache_id: first, last_cache_id: last, persisted: rows } = event
    if (first === null || last === null || last > highestCountedCacheId) continue
    // What a batch brings again is stored already, or else its ids were given twice.
    const from = after === undefined ? first : Math.max(first, after + 1)
    const between = { from: after === undefined ? lowest : after + 1, to: from - 1, rows: 0 }
    if (from > last) continue
    if (between.from <= between.to) ranges.push(between)
    ranges.push({ from, to: last, rows })
    after = last
  }
  return { ranges, through: after }
}

/** The range behind all batches. */
export const rowsBehind = (through: number | undefined): ExpectedRows => ({
  from: through === undefined ? lowest : through + 1,
  to: highest,
  rows: 0,
})
