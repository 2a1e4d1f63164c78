import { Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { type QuerySqlToken, sql } from "slonik"
import { QuarantineEntryNotFound, type RowsRefused, StoreUnavailable } from "../domain/Errors.ts"
import type { Event } from "../domain/Event.ts"
import { type HistoryRange, type HistoryScope, nearestFirst } from "../domain/History.ts"
import type { CachedMessage, QueueName } from "../domain/Message.ts"
import type { NewQuarantineEntry } from "../domain/Quarantine.ts"
import {
  type DeletionReport,
  type InsertReport,
  MessageStore,
  type QuarantineFilter,
  type StoreTransaction,
} from "../services/MessageStore.ts"
import { Postgres, type PostgresTransaction } from "../services/Postgres.ts"
import * as EventRows from "./postgres/EventRows.ts"
import * as HistoryRows from "./postgres/HistoryRows.ts"
import * as MessageRows from "./postgres/MessageRows.ts"
import * as QuarantineRows from "./postgres/QuarantineRows.ts"

/** One row `{ greatest }`. What is quarantined may be stored one day. */
export const greatestCacheId = (queue: QueueName): QuerySqlToken =>
  sql.unsafe`
    SELECT coalesce(
      greatest(${MessageRows.greatestCacheId(queue)}, ${QuarantineRows.greatestCacheId(queue)}), 0
    ) AS greatest`

interface ComparedRow {
  readonly ordinal: number
  readonly is_missing: boolean
  readonly is_deleted: boolean
}

/** Which messages were deleted, or stored before with other content, after fewer rows were added than there are messages. */
const findPassedOver = Effect.fnUntraced(function* (
  { query }: PostgresTransaction,
  compare: QuerySqlToken,
  passedOver: number,
) {
  const { rows } = yield* query<ComparedRow>(compare)
  if (rows.length > passedOver || rows.some((row) => row.is_missing && !row.is_deleted)) {
    return yield* new StoreUnavailable({
      operation: "MessageStore.insert",
      reason: "another program deleted rows while they were inserted again",
      sqlstate: null,
    })
  }
  const indexes = (isDeleted: boolean) =>
    rows.filter((row) => row.is_deleted === isDeleted).map(({ ordinal }) => ordinal - 1)
  return { conflicts: indexes(false), deleted: indexes(true) }
})

const nonePassedOver: Omit<InsertReport, "inserted"> = { conflicts: [], deleted: [] }

/**
 * A constraint is checked before it shows that the row is there already: one that is younger than the row refuses it
 * again, when its batch comes again. Only where there is one message is it known which was refused.
 */
const passOverStored =
  (postgres: PostgresTransaction, queue: QueueName, messages: ReadonlyArray<CachedMessage>) =>
  (refusal: RowsRefused) =>
    messages.length > 1
      ? refusal
      : postgres.attempt<ComparedRow>(MessageRows.compare(queue, messages)).pipe(
          Effect.catchTag("RowsRefused", () => refusal),
          Effect.filterOrFail(
            ({ rows }) => !rows.some((row) => row.is_missing),
            () => refusal,
          ),
          Effect.as({ rowCount: 0 }),
        )

/** A unique value is there already: nearly always a `message_id`. */
const uniqueViolation = "23505"

/** The COPY of these very messages, where it was prepared. */
type Prepared = WeakMap<ReadonlyArray<CachedMessage>, QuerySqlToken>

const insert = (postgres: PostgresTransaction, prepared: Prepared) => {
  const found = new Map<QueueName, MessageRows.Circumstances>()

  /** Once for the whole transaction: while it holds the lock, nothing of what is found changes. */
  const lock = Effect.fnUntraced(function* (queue: QueueName) {
    const known = found.get(queue)
    if (known !== undefined) return known
    const { rows } = yield* postgres.query<MessageRows.Circumstances>(MessageRows.lockAgainstDeletion(queue))
    found.set(queue, rows[0]!)
    return rows[0]!
  })

  /** COPY passes over nothing. */
  const mayCopy = Effect.fnUntraced(function* (queue: QueueName, messages: ReadonlyArray<CachedMessage>) {
    const { has_deletions, has_row_security } = yield* lock(queue)
    if (has_row_security || !has_deletions) return !has_row_security
    const { rows } = yield* postgres.query<{ readonly is_deleted: boolean }>(
      MessageRows.isAnyDeleted(queue, messages),
    )
    return !rows[0]!.is_deleted
  })

  /** Messages are nearly always new, and copied. Where one is not, they are inserted with a look at each. */
  const insertRows = Effect.fnUntraced(function* (queue: QueueName, messages: ReadonlyArray<CachedMessage>) {
    const inserting = Effect.suspend(() => postgres.attempt(MessageRows.insert(queue, messages)))
    if (!(yield* mayCopy(queue, messages))) return yield* inserting
    return yield* postgres.attempt(prepared.get(messages) ?? MessageRows.copy(queue, messages)).pipe(
      Effect.catchIf(
        (error) => error._tag === "RowsRefused" && error.sqlstate === uniqueViolation,
        () => inserting,
      ),
    )
  })

  return Effect.fn("MessageStore.insert")(function* (
    queue: QueueName,
    messages: ReadonlyArray<CachedMessage>,
  ) {
    if (messages.length === 0) return { inserted: 0, ...nonePassedOver } satisfies InsertReport
    const { rowCount: inserted } = yield* insertRows(queue, messages).pipe(
      Effect.catchTag("RowsRefused", passOverStored(postgres, queue, messages)),
    )
    const passedOver = messages.length - inserted
    const others =
      passedOver === 0
        ? nonePassedOver
        : yield* findPassedOver(postgres, MessageRows.compare(queue, messages), passedOver)
    return { inserted, ...others } satisfies InsertReport
  })
}

const oneEntry = Effect.fnUntraced(function* <E>(
  id: number,
  read: Effect.Effect<ReadonlyArray<QuarantineRows.Row>, E>,
) {
  // An id that no bigint can be would look like a fault of the table.
  const [row] = Number.isSafeInteger(id) ? yield* read : []
  if (row === undefined) return yield* new QuarantineEntryNotFound({ id })
  return QuarantineRows.entryOf(row)
})

const storeTransaction = (postgres: PostgresTransaction, prepared: Prepared): StoreTransaction => ({
  lockQueue: (queue) =>
    Effect.map(
      postgres.query<{ readonly greatest: number }>(
        sql.unsafe`${MessageRows.lock(queue)}; ${greatestCacheId(queue)}`,
      ),
      ({ rows }) => rows[0]!.greatest,
    ),

  insert: insert(postgres, prepared),

  deleteMessage: Effect.fn("MessageStore.deleteMessage")(function* (queue: QueueName, messageId: string) {
    yield* postgres.query(MessageRows.lockForDeletion(queue))
    const { rows } = yield* postgres.query<{
      readonly is_new: boolean
      readonly shown_to: ReadonlyArray<string>
    }>(MessageRows.remove(queue, messageId))
    const { is_new, shown_to } = rows[0]!
    return { isNew: is_new, shownTo: shown_to } satisfies DeletionReport
  }),

  quarantine: Effect.fnUntraced(function* (queue: QueueName, entries: ReadonlyArray<NewQuarantineEntry>) {
    if (entries.length === 0) return []
    const { rows } = yield* postgres.query<{ readonly id: number; readonly digest: string }>(
      QuarantineRows.insert(queue, entries),
    )
    const ids = new Map(rows.map(({ id, digest }) => [digest, id]))
    return entries.map(({ raw }) => {
      const digest = createHash("sha256").update(raw).digest("hex")
      const id = ids.get(digest)
      // The second of two entries with the same bytes is passed over.
      ids.delete(digest)
      return id
    })
  }),

  quarantinedBytes: (queue, cacheIds) =>
    Effect.map(
      postgres.query<{ readonly raw: Buffer }>(QuarantineRows.selectBytes(queue, cacheIds)),
      ({ rows }) => rows.map(({ raw }) => raw),
    ),

  storedTwins: Effect.fnUntraced(function* (
    queue: QueueName,
    messages: ReadonlyArray<CachedMessage>,
    sameCacheId: boolean,
  ) {
    if (messages.length === 0) return []
    const { rows } = yield* postgres.query<{ readonly ordinal: number; readonly message_id: string }>(
      MessageRows.twins(queue, messages, sameCacheId),
    )
    const twins = new Map(rows.map(({ ordinal, message_id }) => [ordinal - 1, message_id]))
    return messages.map((_message, index) => twins.get(index))
  }),

  lockQuarantineEntry: (id) =>
    oneEntry(
      id,
      Effect.map(postgres.query<QuarantineRows.Row>(QuarantineRows.lockOne(id)), ({ rows }) => rows),
    ),

  resolveQuarantineEntry: (id, status) =>
    postgres.query(QuarantineRows.resolve(id, status)).pipe(
      Effect.filterOrDieMessage(
        ({ rowCount }) => rowCount === 1,
        `The quarantine entry ${id} was to be resolved without having been locked`,
      ),
      Effect.asVoid,
    ),

  journal: (events: ReadonlyArray<Event>) =>
    events.length === 0 ? Effect.void : Effect.asVoid(postgres.query(EventRows.insert(events))),
})

const make = Effect.gen(function* () {
  const postgres = yield* Postgres
  const prepared: Prepared = new WeakMap()
  return MessageStore.of({
    transaction: Effect.fn("MessageStore.transaction")((body) =>
      postgres.transaction("MessageStore.transaction", (transaction) =>
        body(storeTransaction(transaction, prepared)),
      ),
    ),

    prepareInsert: (queue, messages) =>
      Effect.sync(() => {
        if (messages.length > 0) prepared.set(messages, MessageRows.copy(queue, messages))
      }),

    greatestCacheId: Effect.fn("MessageStore.greatestCacheId")(function* (queue: QueueName) {
      const [row] = yield* postgres.read<{ readonly greatest: number }>(
        "MessageStore.greatestCacheId",
        greatestCacheId(queue),
      )
      return row!.greatest
    }),

    history: Effect.fn("MessageStore.history")(function* (
      scope: HistoryScope,
      range: HistoryRange,
      limit: number,
      queuedIds: ReadonlyArray<string>,
    ) {
      const rows = yield* postgres.read<HistoryRows.Row>(
        "MessageStore.history",
        HistoryRows.select(scope, range, limit, queuedIds),
      )
      const messages = rows.filter((row) => !row.is_settled).map(HistoryRows.messageOf)
      const settled = rows.filter((row) => row.is_settled).map(({ message_id }) => message_id)
      return { messages: messages.sort(nearestFirst(range.direction)), settled: new Set(settled) }
    }),

    quarantineEntries: Effect.fn("MessageStore.quarantineEntries")(function* (filter: QuarantineFilter) {
      const rows = yield* postgres.read<QuarantineRows.Row>(
        "MessageStore.quarantineEntries",
        QuarantineRows.select(filter),
      )
      return rows.map(QuarantineRows.entryOf)
    }),

    quarantineEntry: Effect.fn("MessageStore.quarantineEntry")((id: number) =>
      oneEntry(
        id,
        postgres.read<QuarantineRows.Row>("MessageStore.quarantineEntry", QuarantineRows.selectOne(id)),
      ),
    ),
  })
})

export const layer: Layer.Layer<MessageStore, never, Postgres> = Layer.effect(MessageStore, make)
