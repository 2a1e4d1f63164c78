import { Data, Effect, Either, Layer, Stream } from "effect"
import { decodeEntry, derivedMessageId, type Entry, salvageEntry } from "../domain/Entry.ts"
import { type Event, MessageQuarantined, MessagesImported } from "../domain/Event.ts"
import { contentKey, importedMessageId, toleranceMillis } from "../domain/Import.ts"
import type { CachedMessage } from "../domain/Message.ts"
import type { NewQuarantineEntry } from "../domain/Quarantine.ts"
import { CacheIdCounter } from "../services/CacheIdCounter.ts"
import { Importer, type ImportOptions, type TableImport } from "../services/Importer.ts"
import { MessageStore, type StoreTransaction } from "../services/MessageStore.ts"
import { Predecessor, type PredecessorRow, type PredecessorTable } from "../services/Predecessor.ts"
import { insertRows, withoutQuarantined } from "./flushBatch.ts"
import type { Row } from "./QueuedBatch.ts"

type Counts = Omit<TableImport, "source" | "queue">

const noCounts: Counts = {
  rows: 0,
  imported: 0,
  already_stored: 0,
  deleted: 0,
  quarantined: 0,
  already_quarantined: 0,
}

const sum = (one: Counts, other: Counts): Counts => ({
  rows: one.rows + other.rows,
  imported: one.imported + other.imported,
  already_stored: one.already_stored + other.already_stored,
  deleted: one.deleted + other.deleted,
  quarantined: one.quarantined + other.quarantined,
  already_quarantined: one.already_quarantined + other.already_quarantined,
})

/** Takes a dry run out of its transaction, which is rolled back. */
class DryRun extends Data.TaggedError("DryRun")<{ readonly counts: Counts }> {}

const encoder = new TextEncoder()

/** The row as an entry of the queue, so that one decoder says what a message is, and the quarantine can replay it. */
const entryOf = (cacheId: number, fields: object): Entry =>
  encoder.encode(JSON.stringify({ cache_id: cacheId, data: fields }))

const sortOut = ({ name, queue }: PredecessorTable, page: ReadonlyArray<PredecessorRow>) => {
  const rows: Array<Row> = []
  const bad: Array<NewQuarantineEntry> = []
  for (const { key, cacheId, messageId, fields } of page) {
    const entry = entryOf(cacheId === null ? 0 : Number(cacheId), {
      message_id: messageId ?? importedMessageId(name, key),
      ...fields,
    })
    const decoded = decodeEntry(queue, entry)
    if (Either.isRight(decoded)) {
      rows.push({ message: decoded.right, entry })
    } else {
      bad.push({
        cacheId: salvageEntry(entry).cache_id ?? null,
        reason: "invalid_import",
        sqlstate: null,
        error: `${name} ${key}: ${decoded.left.detail}`,
        raw: entry,
      })
    }
  }
  return { rows, bad }
}

/** Messages by what they say, to find the one that a row repeats. */
class Twins {
  readonly #byContent = new Map<string, Array<{ readonly id: string; readonly millis: number }>>()
  readonly #withCacheId: boolean

  constructor(withCacheId: boolean) {
    this.#withCacheId = withCacheId
  }

  add(message: CachedMessage): void {
    const key = contentKey(message, this.#withCacheId)
    const known = this.#byContent.get(key) ?? []
    known.push({ id: message.message_id, millis: Date.parse(message.authored_at) })
    this.#byContent.set(key, known)
  }

  find(message: CachedMessage): string | undefined {
    const millis = Date.parse(message.authored_at)
    return this.#byContent
      .get(contentKey(message, this.#withCacheId))
      ?.find((known) => Math.abs(known.millis - millis) <= toleranceMillis(this.#withCacheId))?.id
  }
}

/**
 * A row whose message waits in the queue, too, gets the id that flushing the entry will give it: whichever comes first,
 * the other one is a duplicate.
 */
const asQueued = (rows: ReadonlyArray<Row>, queued: Twins): ReadonlyArray<Row> =>
  rows.map((row) => {
    const message_id = queued.find(row.message)
    if (message_id === undefined) return row
    const { cache_id, ...fields } = { ...row.message, message_id }
    return { message: { ...row.message, message_id }, entry: entryOf(cache_id, fields) }
  })

/** Without those that are stored under another id, and without the second of two that say the same at the same time. */
const withoutTwins = Effect.fnUntraced(function* (
  table: PredecessorTable,
  rows: ReadonlyArray<Row>,
  transaction: StoreTransaction,
) {
  const stored = yield* transaction.storedTwins(
    table.queue,
    rows.map(({ message }) => message),
    table.hasCacheIds,
  )
  const inPage = new Twins(table.hasCacheIds)
  return rows.filter(({ message }, index) => {
    if (stored[index] !== undefined || inPage.find(message) !== undefined) return false
    inPage.add(message)
    return true
  })
})

const eventsOf = (
  { name, queue }: PredecessorTable,
  imported: number,
  bad: ReadonlyArray<NewQuarantineEntry>,
  ids: ReadonlyArray<number | undefined>,
): ReadonlyArray<Event> => {
  const quarantined = bad.flatMap(({ cacheId, reason, sqlstate }, index) => {
    const quarantine_id = ids[index]
    return quarantine_id === undefined
      ? []
      : [new MessageQuarantined({ queue, quarantine_id, cache_id: cacheId, reason, sqlstate })]
  })
  if (imported + quarantined.length === 0) return []
  const done = { queue, source: name, persisted: imported, quarantined: quarantined.length }
  return [...quarantined, new MessagesImported(done)]
}

const make = Effect.gen(function* () {
  const predecessor = yield* Predecessor
  const store = yield* MessageStore
  const counter = yield* CacheIdCounter

  const importPage = (
    table: PredecessorTable,
    page: ReadonlyArray<PredecessorRow>,
    queued: Twins,
    dryRun: boolean,
  ) =>
    store
      .transaction(
        Effect.fnUntraced(function* (transaction) {
          const { queue } = table
          // A flush of the same messages either is done by now, or waits and will find them.
          yield* transaction.lockQueue(queue)
          const { rows, bad } = sortOut(table, page)
          const fresh = yield* withoutTwins(table, rows, transaction)
          const pending = yield* withoutQuarantined(queue, asQueued(fresh, queued), transaction)
          const inserted = yield* insertRows(queue, pending, transaction)
          const refused = [...bad, ...inserted.bad]
          const ids = yield* transaction.quarantine(queue, refused)
          const quarantined = ids.filter((id) => id !== undefined).length
          yield* transaction.journal(eventsOf(table, inserted.persisted, refused, ids))
          const counts: Counts = {
            rows: page.length,
            imported: inserted.persisted,
            already_stored: rows.length - fresh.length + inserted.duplicates,
            deleted: inserted.deleted.length,
            quarantined,
            already_quarantined: refused.length - quarantined + (fresh.length - pending.length),
          }
          return dryRun ? yield* new DryRun({ counts }) : counts
        }),
      )
      .pipe(Effect.catchTag("DryRun", ({ counts }) => Effect.succeed(counts)))

  const run = Effect.fn("Importer.run")(function* (
    options: ImportOptions,
    onPage: (done: number, total: number) => Effect.Effect<void>,
  ) {
    const snapshot = yield* predecessor.open(options)
    const total = snapshot.tables.reduce((rows, { rowCount }) => rows + rowCount, 0)
    let done = 0
    const importTable = Effect.fnUntraced(function* (table: PredecessorTable) {
      const queued = new Twins(table.hasCacheIds)
      yield* Stream.runForEach(snapshot.queued(table.queue), (entry) =>
        Effect.sync(() => {
          const decoded = decodeEntry(table.queue, entry)
          if (Either.isLeft(decoded) || decoded.right.message_id !== derivedMessageId(entry)) return
          queued.add(decoded.right)
        }),
      )
      const counts = yield* Stream.runFoldEffect(table.pages, noCounts, (before, page) =>
        importPage(table, page, queued, options.dryRun).pipe(
          Effect.tap(() => onPage((done += page.length), total)),
          Effect.map((counted) => sum(before, counted)),
        ),
      )
      return { source: table.name, queue: table.queue, ...counts } satisfies TableImport
    })
    const tables = yield* Effect.forEach(snapshot.tables, importTable)
    if (!options.dryRun) {
      yield* Effect.forEach(snapshot.tables, ({ queue }) => counter.reseed(queue))
    }
    return { tables, absent: snapshot.absent }
  }, Effect.scoped)

  return Importer.of({ run })
})

export const layer: Layer.Layer<Importer, never, Predecessor | MessageStore | CacheIdCounter> = Layer.effect(
  Importer,
  make,
)
