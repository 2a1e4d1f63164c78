import { Duration, Effect, Fiber } from "effect"
import { entryKey } from "../domain/Entry.ts"
import type { FlushTrigger } from "../domain/Event.ts"
import { flushDecider } from "../domain/Flush.ts"
import { shownTo } from "../domain/Recent.ts"
import { type CachedMessage, highestCountedCacheId, type QueueName } from "../domain/Message.ts"
import type { NewQuarantineEntry } from "../domain/Quarantine.ts"
import { CacheIdCounter } from "../services/CacheIdCounter.ts"
import { FlushQueue, type ReadLimit } from "../services/FlushQueue.ts"
import { MessageCache } from "../services/MessageCache.ts"
import { MessageStore, type StoreTransaction } from "../services/MessageStore.ts"
import { isolateRefused } from "./isolateRefused.ts"
import { messagesOf, type Row } from "./QueuedBatch.ts"
import * as ReadAhead from "./ReadAhead.ts"
import { stopWatch } from "./stopWatch.ts"

export interface BatchResult {
  /** Number of entries read, all of which are dealt with: 0 when the queue was empty. */
  readonly entries: number
  readonly persisted: number
  readonly duplicates: number
  readonly quarantined: number
  readonly deleted: number
}

const emptyBatch: BatchResult = { entries: 0, persisted: 0, duplicates: 0, quarantined: 0, deleted: 0 }

/**
 * Without those that are quarantined already: this batch was committed before and not acknowledged, and what refused a
 * row then may let it pass now.
 */
export const withoutQuarantined = Effect.fnUntraced(function* (
  queue: QueueName,
  rows: ReadonlyArray<Row>,
  transaction: StoreTransaction,
) {
  const quarantined = yield* transaction.quarantinedBytes(
    queue,
    rows.map(({ message }) => message.cache_id),
  )
  if (quarantined.length === 0) return rows
  const known = new Set(quarantined.map(entryKey))
  return rows.filter(({ entry }) => !known.has(entryKey(entry)))
})

/** Adds the rows one by one where PostgreSQL does not take them together, and says what is to be quarantined. */
export const insertRows = Effect.fnUntraced(function* (
  queue: QueueName,
  rows: ReadonlyArray<Row>,
  transaction: StoreTransaction,
  longestGroup?: number,
) {
  const { reports, refused } = yield* isolateRefused(
    queue,
    rows,
    (group) => transaction.insert(queue, messagesOf(group)),
    longestGroup,
  )
  const bad: Array<NewQuarantineEntry> = []
  const deleted: Array<CachedMessage> = []
  let persisted = 0
  let duplicates = 0
  for (const { rows: group, report } of reports) {
    persisted += report.inserted
    duplicates += group.length - report.inserted - report.conflicts.length - report.deleted.length
    for (const index of report.deleted) deleted.push(group[index]!.message)
    for (const index of report.conflicts) {
      const { message, entry } = group[index]!
      bad.push({
        cacheId: message.cache_id,
        reason: "message_id_conflict",
        sqlstate: null,
        error: `message_id ${message.message_id} is stored with other content`,
        raw: entry,
      })
    }
  }
  for (const { row, error } of refused) {
    bad.push({
      cacheId: row.message.cache_id,
      reason: "refused_by_postgres",
      sqlstate: error.sqlstate,
      error: error.reason,
      raw: row.entry,
    })
  }
  return { persisted, duplicates, bad, deleted, hasRefused: refused.length > 0 }
})

/** How many rows are inserted at once after a batch of which PostgreSQL has refused some: bad ones rarely come alone. */
const cautiousGroup = 500

/** The greatest of these ids that a counter may have given. */
const greatestCounted = (cacheIds: ReadonlyArray<number>, least: number): number =>
  cacheIds.reduce((greatest, id) => (id > greatest && id <= highestCountedCacheId ? id : greatest), least)

/**
 * Moves one batch from the head of a queue into PostgreSQL.
 *
 * Everything that PostgreSQL learns of the batch is one transaction: rows, quarantine and journal. The queue is read
 * inside it, after the queue's lock, and acknowledged after COMMIT. Dying anywhere on the way repeats the batch, and
 * repeating it adds no row: that, and the acknowledgement by content, is what nothing-lost-nothing-twice rests on. The
 * lock only keeps batches in order.
 */
export const make = Effect.gen(function* () {
  const flushQueue = yield* FlushQueue
  const store = yield* MessageStore
  const counter = yield* CacheIdCounter
  const cache = yield* MessageCache
  const readAhead = yield* ReadAhead.make
  /** Whether PostgreSQL has refused rows of the batch before. */
  const hasRefused: Record<QueueName, boolean> = { public: false, private: false }

  /** What Valkey is asked meanwhile ends by its own deadline, also where PostgreSQL fails before. */
  const persist = (queue: QueueName, trigger: FlushTrigger, limit: ReadLimit) =>
    store.transaction(
      Effect.fnUntraced(function* (transaction) {
        const elapsed = yield* stopWatch
        const greatestBefore = yield* transaction.lockQueue(queue)
        const batch = yield* readAhead.next(queue, limit)
        const { entries, rows, bad: undecodable } = batch
        if (entries.length === 0) {
          return { entries, result: emptyBatch, deleted: [], counterIsBehind: false }
        }
        yield* readAhead.begin(queue, limit, batch)
        const ids = rows.map(({ message }) => message.cache_id)
        const isNew = ids.every((id) => id > greatestBefore && id <= highestCountedCacheId)
        const pending = isNew ? rows : yield* withoutQuarantined(queue, rows, transaction)
        const counting = yield* Effect.fork(flushQueue.lastCacheId(queue))
        const inserted = yield* insertRows(
          queue,
          pending,
          transaction,
          hasRefused[queue] ? cautiousGroup : undefined,
        )
        const lastGiven = yield* Fiber.join(counting)
        hasRefused[queue] = inserted.hasRefused
        const bad = [...undecodable, ...inserted.bad]
        const quarantineIds = yield* transaction.quarantine(queue, bad)
        const quarantined = bad.flatMap(({ cacheId, reason, sqlstate }, index) => {
          const quarantineId = quarantineIds[index]
          return quarantineId === undefined ? [] : [{ quarantineId, cacheId, reason, sqlstate }]
        })
        const { persisted, deleted } = inserted
        const duplicates =
          inserted.duplicates + (rows.length - pending.length) + (bad.length - quarantined.length)
        const events = yield* flushDecider.decide({
          _tag: "RecordBatch",
          queue,
          trigger,
          entries: entries.length,
          firstCacheId: rows[0]?.message.cache_id ?? null,
          lastCacheId: rows.at(-1)?.message.cache_id ?? null,
          persisted,
          duplicates,
          quarantined,
          deleted: deleted.length,
          durationMs: Math.round(Duration.toMillis(yield* elapsed)),
        })
        const greatest = greatestCounted([...ids, ...bad.map(({ cacheId }) => cacheId ?? 0)], greatestBefore)
        const counterIsBehind = lastGiven === undefined || lastGiven < greatest
        yield* transaction.journal(events)
        return {
          entries,
          result: {
            entries: entries.length,
            persisted,
            duplicates,
            quarantined: quarantined.length,
            deleted: deleted.length,
          },
          deleted,
          counterIsBehind,
        }
      }),
    )

  return Effect.fn("flushBatch")(function* (queue: QueueName, trigger: FlushTrigger, limit: ReadLimit) {
    const { entries, result, deleted, counterIsBehind } = yield* persist(queue, trigger, limit)
    yield* Effect.annotateCurrentSpan({ queue, ...result })
    // Before the acknowledgement, which is the last that is seen of them.
    yield* Effect.forEach(deleted, (message) => cache.remove(queue, message.message_id, shownTo(message)), {
      concurrency: 16,
      discard: true,
    })
    if (entries.length > 0) yield* flushQueue.acknowledge(queue, entries)
    if (counterIsBehind) yield* counter.reseed(queue)
    return result
  })
})
