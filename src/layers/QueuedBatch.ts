import { Either } from "effect"
import { decodeEntry, type Entry, salvageEntry } from "../domain/Entry.ts"
import type { CachedMessage, QueueName } from "../domain/Message.ts"
import type { NewQuarantineEntry } from "../domain/Quarantine.ts"

export interface Row {
  readonly message: CachedMessage
  readonly entry: Entry
}

/** Entries of a queue in their order, and what they say. */
export interface QueuedBatch {
  readonly entries: ReadonlyArray<Entry>
  readonly rows: ReadonlyArray<Row>
  /** Those that are not messages. */
  readonly bad: ReadonlyArray<NewQuarantineEntry>
}

export const decode = (queue: QueueName, entries: ReadonlyArray<Entry>): QueuedBatch => {
  const rows: Array<Row> = []
  const bad: Array<NewQuarantineEntry> = []
  for (const entry of entries) {
    const decoded = decodeEntry(queue, entry)
    if (Either.isRight(decoded)) {
      rows.push({ message: decoded.right, entry })
    } else {
      const { reason, detail } = decoded.left
      bad.push({
        cacheId: salvageEntry(entry).cache_id ?? null,
        reason,
        sqlstate: null,
        error: detail,
        raw: entry,
      })
    }
  }
  return { entries, rows, bad }
}
