import { Effect, Either } from "effect"
import { decodeEntry, salvageEntry } from "../../domain/Entry.ts"
import type { StoreError } from "../../domain/Errors.ts"
import type { IdRange } from "../../domain/Ledger.ts"
import type { QueueName } from "../../domain/Message.ts"
import type { QuarantineEntry } from "../../domain/Quarantine.ts"
import type { AuditFinding } from "../../services/Audit.ts"
import type { QuarantineDifference, StoreView } from "../../services/StoreSnapshot.ts"
import * as Finding from "./finding.ts"
import { exampleLimit } from "./finding.ts"
import type { JournalRecount } from "./recountJournal.ts"

/** Quarantined entries that are looked into, the oldest first, and the largest that is. */
const quarantineLimit = 10_000
const quarantinePage = 500
const maximumBytes = 1024 * 1024

/** The longest range in which missing ids are looked for. A batch does not bring more. */
const longestRange = 100_000

const tables = { public: "chat_messages", private: "private_messages" } as const

/** Looks into one range after the other until there are enough examples. */
const examplesOf = Effect.fnUntraced(function* <Range extends IdRange>(
  ranges: ReadonlyArray<Range>,
  examplesWithin: (range: Range, limit: number) => Effect.Effect<ReadonlyArray<string>, StoreError>,
) {
  const examples: Array<string> = []
  for (const range of ranges) {
    if (examples.length >= exampleLimit) break
    examples.push(...(yield* examplesWithin(range, exampleLimit - examples.length)))
  }
  return examples
})

export interface RowCounts {
  readonly rows: number
  readonly rowsJournalled: number
}

const auditRows = Effect.fnUntraced(function* (
  view: StoreView,
  queue: QueueName,
  { rows, rowsJournalled }: RowCounts,
  { state, queues }: JournalRecount,
) {
  const { missing, added, suspects } = queues[queue]
  const missingIds = examplesOf(
    suspects.filter(
      ({ counted, rows: expected, from, to }) => counted < expected && to - from < longestRange,
    ),
    (range, limit) =>
      Effect.map(view.missingWithin(queue, range, limit), (ids) => ids.map((id) => `cache_id ${id}`)),
  )
  const addedRows = examplesOf(
    suspects.filter(({ counted, rows: expected }) => counted > expected),
    (range, limit) =>
      Effect.map(view.rowsWithin(queue, range, Math.min(limit, range.counted - range.rows)), (found) =>
        found.map(({ message_id, cache_id }) => `message_id ${message_id} (cache_id ${cache_id})`),
      ),
  )
  const counts = `the table ${tables[queue]} has ${rows} rows, and it should have ${rowsJournalled}`
  const difference = rows - rowsJournalled
  // The journal does not tell which batch had stored what was deleted.
  const { rowsDeleted } = state.queues[queue].ledger
  const exchanged = Math.min(Math.max(0, missing - rowsDeleted), added)
  const findings: Array<AuditFinding> = []
  if (difference < 0) {
    findings.push(
      Finding.error("rows", queue)(
        -difference,
        `${-difference} rows are gone: ${counts}. Somebody has deleted them in the database: restore them from a backup. Their ids are among these${rowsDeleted === 0 ? "" : ", and so may be those of deleted messages"}.`,
        yield* missingIds,
      ),
    )
  }
  if (difference > 0) {
    findings.push(
      Finding.error("rows", queue)(
        difference,
        `${difference} rows were added by hand: ${counts}. Delete them, or keep in mind that nothing else knows of them.`,
        yield* addedRows,
      ),
    )
  }
  if (exchanged > 0) {
    findings.push(
      Finding.warning("rows", queue)(
        exchanged,
        `${exchanged} rows have ids that no batch has brought, and as many are missing where batches have brought them: rows were exchanged by hand, or another program has queued entries with ids of its own.`,
        difference > 0 ? yield* missingIds : yield* addedRows,
      ),
    )
  }
  return findings
})

const differenceText = ({ id, held, journalled }: QuarantineDifference): string =>
  `quarantine id ${id} (table: ${held ?? "gone"}, journal: ${journalled ?? "unknown"})`

const auditQuarantine = Effect.fnUntraced(function* (view: StoreView, queue: QueueName) {
  const { count, differences } = yield* view.quarantineDifferences(queue, exampleLimit)
  if (count === 0) return []
  return [
    Finding.error("quarantine", queue)(
      count,
      `${count} entries of quarantined_messages are not as the journal tells: somebody has changed the table in the database. Restore what is gone from a backup, and resolve entries by replaying or discarding them.`,
      differences.map(differenceText),
    ),
  ]
})

const auditJournal = (
  queue: QueueName,
  { incompleteBatches }: JournalRecount["queues"][QueueName],
): ReadonlyArray<AuditFinding> =>
  incompleteBatches.length === 0
    ? []
    : [
        Finding.error("journal", queue)(
          incompleteBatches.length,
          `${incompleteBatches.length} batches have quarantined other numbers of entries than the journal names: events before them are missing. Restore the table events from a backup.`,
          incompleteBatches.map((position) => `position ${position}`),
        ),
      ]

const messageIdOf = (queue: QueueName, entry: QuarantineEntry): string | undefined => {
  const decoded = decodeEntry(queue, entry.raw)
  return Either.isRight(decoded) ? decoded.right.message_id : salvageEntry(entry.raw).message_id
}

/** A conflict is just that: its id is stored with other content. */
const auditStoredAndQuarantined = Effect.fnUntraced(function* (view: StoreView, queue: QueueName) {
  const both: Array<string> = []
  let after = 0
  for (let examined = 0; examined < quarantineLimit; examined += quarantinePage) {
    const entries = yield* view.openEntries(queue, { after, limit: quarantinePage, maximumBytes })
    const ids = new Map<string, number>()
    for (const entry of entries) {
      const messageId = entry.reason === "message_id_conflict" ? undefined : messageIdOf(queue, entry)
      if (messageId !== undefined) ids.set(messageId, entry.id)
    }
    const stored = ids.size === 0 ? [] : yield* view.storedIds(queue, [...ids.keys()])
    both.push(...stored.map((messageId) => `quarantine id ${ids.get(messageId)}, message_id ${messageId}`))
    if (entries.length < quarantinePage) break
    after = entries.at(-1)!.id
  }
  if (both.length === 0) return []
  return [
    Finding.warning("stored-and-quarantined", queue)(
      both.length,
      `${both.length} open entries of the quarantine have the message_id of a stored message: they were probably sent again, corrected. Compare them, and discard them if they are the same (DELETE /quarantine/:id).`,
      both,
    ),
  ]
})

/** What the tables of a queue say against each other. */
export const auditTables = Effect.fnUntraced(function* (
  view: StoreView,
  queue: QueueName,
  recount: JournalRecount,
) {
  const { flush, ledger } = recount.state.queues[queue]
  const counts: RowCounts = {
    rows: yield* view.rowCount(queue),
    rowsJournalled: flush.persisted + ledger.rowsOfReplays + ledger.rowsOfImports - ledger.rowsDeleted,
  }
  const findings = [
    ...(yield* auditRows(view, queue, counts, recount)),
    ...(yield* auditQuarantine(view, queue)),
    ...auditJournal(queue, recount.queues[queue]),
    ...(yield* auditStoredAndQuarantined(view, queue)),
  ]
  return { counts, quarantine: yield* view.quarantineTotals(queue), findings }
})
