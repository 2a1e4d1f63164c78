import { Effect, Either } from "effect"
import type { RecordedEvent } from "../../domain/Event.ts"
import type { IdRange } from "../../domain/Ledger.ts"
import type { QueueName } from "../../domain/Message.ts"
import type { QuarantineStatus } from "../../domain/Quarantine.ts"
import type { StoreView } from "../../services/StoreSnapshot.ts"
import { decodeEventRow } from "../eventData.ts"
import { greatestOf, quarantineOf, type Tables } from "./Tables.ts"

const journalOf = (tables: Tables): ReadonlyArray<RecordedEvent> =>
  tables.events.map((row) => Either.getOrThrow(decodeEventRow(row)))

const journalledStatuses = (tables: Tables, queue: QueueName): ReadonlyMap<number, QuarantineStatus> => {
  const statuses = new Map<number, QuarantineStatus>()
  for (const { event } of journalOf(tables)) {
    if (!("queue" in event) || event.queue !== queue) continue
    if (event._tag === "MessageQuarantined") statuses.set(event.quarantine_id, "open")
    if (event._tag === "QuarantineReplayed") statuses.set(event.quarantine_id, "replayed")
    if (event._tag === "QuarantineDiscarded") statuses.set(event.quarantine_id, "discarded")
  }
  return statuses
}

const rowsOf = (tables: Tables, queue: QueueName, { from, to }: IdRange) => {
  const replayed = new Set(
    journalOf(tables).flatMap(({ event }) =>
      event._tag === "QuarantineReplayed" && event.added_row !== false ? [event.message_id] : [],
    ),
  )
  return [...tables.messages[queue].values()].filter(
    ({ cache_id, message_id }) => cache_id >= from && cache_id <= to && !replayed.has(message_id),
  )
}

/** @param tables as they stay */
export const storeView = (tables: Tables): StoreView => ({
  events: (after, limit) =>
    Effect.sync(() =>
      journalOf(tables)
        .filter(({ position }) => position > after)
        .slice(0, limit),
    ),

  rowCount: (queue) => Effect.sync(() => tables.messages[queue].size),

  quarantineTotals: (queue) =>
    Effect.sync(() => {
      const totals = { open: 0, replayed: 0, discarded: 0 }
      for (const { status } of quarantineOf(tables, queue)) totals[status]++
      return totals
    }),

  greatestCacheId: (queue) => Effect.sync(() => greatestOf(tables, queue)),

  storedIds: (queue, messageIds) =>
    Effect.sync(() => [...new Set(messageIds)].filter((id) => tables.messages[queue].has(id))),

  deletedIds: (queue, messageIds) =>
    Effect.sync(() => [...new Set(messageIds)].filter((id) => tables.deleted[queue].has(id))),

  quarantinedBytes: (queue, cacheIds) =>
    Effect.sync(() =>
      quarantineOf(tables, queue)
        .filter(({ cache_id }) => cache_id !== null && cacheIds.includes(cache_id))
        .map(({ raw }) => raw),
    ),

  openEntries: (queue, { after, limit, maximumBytes }) =>
    Effect.sync(() =>
      quarantineOf(tables, queue)
        .filter(({ id, status, raw }) => status === "open" && id > after && raw.length <= maximumBytes)
        .toSorted((one, other) => one.id - other.id)
        .slice(0, limit),
    ),

  quarantineDifferences: (queue, limit) =>
    Effect.sync(() => {
      const held = new Map(quarantineOf(tables, queue).map(({ id, status }) => [id, status]))
      const journalled = journalledStatuses(tables, queue)
      const differences = [...new Set([...held.keys(), ...journalled.keys()])]
        .filter((id) => held.get(id) !== journalled.get(id))
        .toSorted((one, other) => one - other)
        .map((id) => ({ id, held: held.get(id) ?? null, journalled: journalled.get(id) ?? null }))
      return { count: differences.length, differences: differences.slice(0, limit) }
    }),

  countRows: (queue, ranges) => Effect.sync(() => ranges.map((range) => rowsOf(tables, queue, range).length)),

  rowsWithin: (queue, range, limit) =>
    Effect.sync(() =>
      rowsOf(tables, queue, range)
        .slice(0, limit)
        .map(({ message_id, cache_id }) => ({ message_id, cache_id })),
    ),

  missingWithin: (queue, { from, to }, limit) =>
    Effect.sync(() => {
      const used = new Set<number | null>(
        [...tables.messages[queue].values(), ...quarantineOf(tables, queue)].map(({ cache_id }) => cache_id),
      )
      return Array.from({ length: to - from + 1 }, (_, index) => from + index)
        .filter((id) => !used.has(id))
        .slice(0, limit)
    }),
})
