import { Clock, Context, DateTime, Effect, Layer } from "effect"
import { entryKey } from "../domain/Entry.ts"
import { QuarantineEntryNotFound, type StoreError, StoreUnavailable } from "../domain/Errors.ts"
import type { Event } from "../domain/Event.ts"
import type { CachedMessage, QueueName } from "../domain/Message.ts"
import { isBeyond, isInScope, nearestFirst } from "../domain/History.ts"
import { shownTo } from "../domain/Recent.ts"
import type { NewQuarantineEntry, QuarantineEntry } from "../domain/Quarantine.ts"
import { EventJournal } from "../services/EventJournal.ts"
import { MessageStore, type QuarantineFilter, type StoreTransaction } from "../services/MessageStore.ts"
import { decodeEventRow, eventData, type EventRow } from "./eventData.ts"
import { StoreSnapshot } from "../services/StoreSnapshot.ts"
import * as Locks from "./memory/Locks.ts"
import * as MessageRow from "./memory/MessageRow.ts"
import { storeView } from "./memory/storeView.ts"
import { type DeletedTable, greatest, greatestOf, type MessageTable, type Tables } from "./memory/Tables.ts"
import { toStorable } from "./toStorable.ts"

/** The rows that the ports write and never read. */
export class MemoryTables extends Context.Tag("chat-cache/MemoryTables")<
  MemoryTables,
  {
    /** In the order in which they were inserted. */
    readonly messages: (queue: QueueName) => Effect.Effect<ReadonlyArray<CachedMessage>>
    /** Ids of the messages that were deleted. */
    readonly deleted: (queue: QueueName) => Effect.Effect<ReadonlyArray<string>>
  }
>() {}

/** What one transaction changes: whole tables that it has locked, new and changed entries, events that follow. */
interface Changes {
  messages: Partial<Record<QueueName, MessageTable>>
  deleted: Partial<Record<QueueName, DeletedTable>>
  readonly quarantine: Map<number, QuarantineEntry>
  readonly events: Array<EventRow>
  /** As in PostgreSQL, what has failed once is not committed, even if the failure was caught. */
  spoiled: StoreError | undefined
}

const now = Effect.map(Clock.currentTimeMillis, (millis) => DateTime.formatIso(DateTime.unsafeMake(millis)))

const commit = (tables: Tables, changes: Changes): void => {
  tables.messages = { ...tables.messages, ...changes.messages }
  tables.deleted = { ...tables.deleted, ...changes.deleted }
  tables.quarantine = new Map([...tables.quarantine, ...changes.quarantine])
  tables.events = [...tables.events, ...changes.events]
}

/** The first message of an id wins, whether it was stored before or stands before in the same batch. */
const insertRows = (table: MessageTable, deletedIds: DeletedTable, rows: ReadonlyArray<CachedMessage>) => {
  const next = new Map(table)
  const conflicts: Array<number> = []
  const deleted: Array<number> = []
  let inserted = 0
  for (const [index, row] of rows.entries()) {
    const stored = next.get(row.message_id)
    if (deletedIds.has(row.message_id)) deleted.push(index)
    else if (stored === undefined) {
      next.set(row.message_id, row)
      inserted++
    } else if (!MessageRow.isSameContent(stored, row)) conflicts.push(index)
  }
  return { next, report: { inserted, conflicts, deleted } }
}

const entryOf = (tables: Tables, changes: Changes | undefined, id: number) =>
  Effect.suspend(() => {
    const entry = changes?.quarantine.get(id) ?? tables.quarantine.get(id)
    return entry === undefined ? new QuarantineEntryNotFound({ id }) : Effect.succeed(entry)
  })

const storeTransaction = (
  tables: Tables,
  changes: Changes,
  take: (lock: string) => Effect.Effect<void, StoreError>,
): StoreTransaction => {
  const messagesOf = (queue: QueueName) => changes.messages[queue] ?? tables.messages[queue]
  const deletedOf = (queue: QueueName) => changes.deleted[queue] ?? tables.deleted[queue]
  const quarantineOf = (queue: QueueName) =>
    [...tables.quarantine.values(), ...changes.quarantine.values()].filter((entry) => entry.queue === queue)
  return {
    lockQueue: (queue) =>
      Effect.map(take(queue), () => greatest([...messagesOf(queue).values(), ...quarantineOf(queue)])),

    insert: Effect.fnUntraced(function* (queue: QueueName, messages: ReadonlyArray<CachedMessage>) {
      yield* take(`messages ${queue}`)
      const rows = yield* Effect.forEach(messages, MessageRow.rowOf)
      const { next, report } = insertRows(messagesOf(queue), deletedOf(queue), rows)
      changes.messages[queue] = next
      return report
    }),

    deleteMessage: Effect.fnUntraced(function* (queue: QueueName, messageId: string) {
      yield* take(`messages ${queue}`)
      const id = messageId.toLowerCase()
      const noted = deletedOf(queue).get(id)
      if (noted !== undefined) return { isNew: false, shownTo: noted }
      const row = messagesOf(queue).get(id)
      const audience = row === undefined ? [] : shownTo(row)
      const rest = new Map(messagesOf(queue))
      rest.delete(id)
      changes.messages[queue] = rest
      changes.deleted[queue] = new Map([...deletedOf(queue), [id, audience]])
      return { isNew: true, shownTo: audience }
    }),

    quarantine: Effect.fnUntraced(function* (queue: QueueName, entries: ReadonlyArray<NewQuarantineEntry>) {
      yield* take(`quarantine ${queue}`)
      const quarantined_at = yield* now
      const known = new Set(quarantineOf(queue).map((held) => entryKey(held.raw)))
      return entries.map(({ cacheId, reason, sqlstate, error, raw }) => {
        if (known.has(entryKey(raw))) return undefined
        known.add(entryKey(raw))
        const id = ++tables.lastQuarantineId
        changes.quarantine.set(id, {
          id,
          queue,
          cache_id: cacheId,
          reason,
          sqlstate,
          error: toStorable(error),
          raw: Uint8Array.from(raw),
          status: "open",
          quarantined_at,
          resolved_at: null,
        })
        return id
      })
    }),

    quarantinedBytes: (queue, cacheIds) =>
      Effect.sync(() =>
        quarantineOf(queue)
          .filter(({ cache_id }) => cache_id !== null && cacheIds.includes(cache_id))
          .map(({ raw }) => raw),
      ),

    storedTwins: (queue, messages, sameCacheId) =>
      Effect.sync(() =>
        messages.map((message) => {
          const twins = [...messagesOf(queue).values()].filter((stored) => {
            const apart = Math.abs(Date.parse(stored.authored_at) - Date.parse(message.authored_at))
            return (
              MessageRow.isSameContent({ ...message, message_id: stored.message_id }, stored) &&
              (sameCacheId ? stored.cache_id === message.cache_id && apart < 1000 : apart === 0)
            )
          })
          return (twins.find(({ message_id }) => message_id === message.message_id) ?? twins[0])?.message_id
        }),
      ),

    lockQuarantineEntry: (id) =>
      take(`quarantine entry ${id}`).pipe(Effect.zipRight(entryOf(tables, changes, id))),

    resolveQuarantineEntry: Effect.fnUntraced(function* (id, status) {
      const entry = yield* Effect.orDie(entryOf(tables, changes, id))
      changes.quarantine.set(id, { ...entry, status, resolved_at: yield* now })
    }),

    journal: Effect.fnUntraced(function* (events: ReadonlyArray<Event>) {
      yield* take("journal")
      const recorded_at = yield* now
      for (const event of events) {
        changes.events.push({
          position: tables.events.length + changes.events.length + 1,
          type: event._tag,
          data: eventData(event),
          recorded_at,
        })
      }
    }),
  }
}

const makeStore = (tables: Tables, locks: Locks.Locks) => {
  const run = <A, E>(
    body: (transaction: StoreTransaction) => Effect.Effect<A, E>,
  ): Effect.Effect<A, E | StoreError> => {
    const owner = Symbol()
    const changes: Changes = {
      messages: {},
      deleted: {},
      quarantine: new Map(),
      events: [],
      spoiled: undefined,
    }
    const take = (lock: string): Effect.Effect<void, StoreError> => {
      if (changes.spoiled !== undefined) return Effect.fail(changes.spoiled)
      return locks.take(lock, owner).pipe(
        Effect.timeoutFail({
          duration: "1 second",
          onTimeout: () =>
            new StoreUnavailable({
              operation: "MessageStore.transaction",
              reason: "canceling statement due to lock timeout",
              sqlstate: "55P03",
            }),
        }),
        Effect.tapError((error) => Effect.sync(() => (changes.spoiled = error))),
      )
    }
    return Effect.suspend(() => body(storeTransaction(tables, changes, take))).pipe(
      Effect.tap(() =>
        changes.spoiled === undefined
          ? Effect.sync(() => commit(tables, changes))
          : Effect.fail(changes.spoiled),
      ),
      Effect.ensuring(locks.releaseAll(owner)),
    )
  }
  return MessageStore.of({
    transaction: (body) => Effect.suspend(() => run(body)),

    prepareInsert: () => Effect.void,

    greatestCacheId: (queue) => Effect.sync(() => greatestOf(tables, queue)),

    history: (scope, { direction, from }, limit, queuedIds) =>
      Effect.sync(() => {
        const table = tables.messages[scope.queue]
        const messages = [...table.values()]
          .filter((message) => isInScope(scope, message))
          .filter((message) => from === undefined || isBeyond(direction, message, from))
          .sort(nearestFirst(direction))
          .slice(0, limit)
        const isSettled = (id: string) => table.has(id) || tables.deleted[scope.queue].has(id)
        return { messages, settled: new Set(queuedIds.filter(isSettled)) }
      }),

    quarantineEntries: ({ queue, status, after = 0, limit }: QuarantineFilter) =>
      Effect.sync(() =>
        [...tables.quarantine.values()]
          .filter(
            (entry) =>
              entry.id > after &&
              (queue === undefined || entry.queue === queue) &&
              (status === undefined || entry.status === status),
          )
          .sort((one, other) => one.id - other.id)
          .slice(0, limit),
      ),

    quarantineEntry: (id) => entryOf(tables, undefined, id),
  })
}

const makeJournal = (tables: Tables) =>
  EventJournal.of({
    read: (after, limit) =>
      Effect.suspend(() =>
        Effect.forEach(tables.events.filter(({ position }) => position > after).slice(0, limit), (row) =>
          Effect.orDie(decodeEventRow(row)),
        ),
      ),
  })

/**
 * The store and the journal without PostgreSQL: the reference model of both. It refuses what PostgreSQL refuses and
 * keeps transactions apart as it does, except that an insertion locks its whole table. It forgets everything in the end.
 */
export const layer: Layer.Layer<MessageStore | EventJournal | StoreSnapshot | MemoryTables> =
  Layer.effectContext(
    Effect.map(Locks.make, (locks) => {
      const tables: Tables = {
        messages: { public: new Map(), private: new Map() },
        deleted: { public: new Map(), private: new Map() },
        quarantine: new Map(),
        events: [],
        lastQuarantineId: 0,
      }
      return Context.make(MessageStore, makeStore(tables, locks)).pipe(
        Context.add(EventJournal, makeJournal(tables)),
        // Tables are replaced as a whole, so a copy of the record stays as it is.
        Context.add(StoreSnapshot, {
          read: (body) => Effect.suspend(() => body(storeView({ ...tables }))),
        }),
        Context.add(
          MemoryTables,
          MemoryTables.of({
            messages: (queue) => Effect.sync(() => [...tables.messages[queue].values()]),
            deleted: (queue) => Effect.sync(() => [...tables.deleted[queue].keys()]),
          }),
        ),
      )
    }),
  )
