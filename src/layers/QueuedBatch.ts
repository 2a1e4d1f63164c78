import { Effect, Either } from "effect"
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

/** So many entries are decoded in less than a millisecond. */
const pieceLength = 100

/** Lets whoever waits have his turn: publishers, and the transaction that is under way. */
const giveWay = Effect.async<void>((resume) => {
  const turn = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(turn))
})

/** Piece by piece, since a batch as a whole would keep everybody else waiting. */
export const decode = Effect.fnUntraced(function* (queue: QueueName, entries: ReadonlyArray<Entry>) {
  const rows: Array<Row> = []
  const bad: Array<NewQuarantineEntry> = []
  for (const [index, entry] of entries.entries()) {
    if (index % pieceLength === 0 && index > 0) yield* giveWay
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
  return { entries, rows, bad } satisfies QueuedBatch
})

const messages = new WeakMap<ReadonlyArray<Row>, ReadonlyArray<CachedMessage>>()

/** What the rows say, as the same array whenever the rows are the same, so that it can be prepared. */
export const messagesOf = (rows: ReadonlyArray<Row>): ReadonlyArray<CachedMessage> => {
  const known = messages.get(rows) ?? rows.map(({ message }) => message)
  messages.set(rows, known)
  return known
}
