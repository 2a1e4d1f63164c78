import { Effect, Either } from "effect"
import { decodeEntry, type Entry, entryKey } from "../../domain/Entry.ts"
import type { CachedMessage, QueueName } from "../../domain/Message.ts"
import type { AuditFinding } from "../../services/Audit.ts"
import type { FlushQueue, QueueSnapshot } from "../../services/FlushQueue.ts"
import type { MessageCache } from "../../services/MessageCache.ts"
import type { StoreView } from "../../services/StoreSnapshot.ts"
import * as Finding from "./finding.ts"

/** How much of a queue and of its recent caches is looked into. */
const queueSample = { entries: 1000, bytes: 4 * 1024 * 1024 }
const recentSample = 200

interface Sampled {
  readonly entry: Entry
  readonly message: CachedMessage
}

export interface CacheSample {
  readonly recent: ReadonlyArray<Sampled>
  readonly head: ReadonlyArray<Sampled>
  /** After the recent caches were read. */
  readonly snapshot: QueueSnapshot
}

/** Entries that are not messages are shown to nobody, and the next flush quarantines them. */
const decodeAll = (queue: QueueName, entries: ReadonlyArray<Entry>): ReadonlyArray<Sampled> =>
  entries.flatMap((entry) => {
    const decoded = decodeEntry(queue, entry)
    return Either.isRight(decoded) ? [{ entry, message: decoded.right }] : []
  })

/** The recent caches first, then the queue, before the tables: messages travel in that direction. */
export const sampleCache = (cache: MessageCache["Type"], flushQueue: FlushQueue["Type"], queue: QueueName) =>
  Effect.gen(function* () {
    const recent = decodeAll(queue, yield* cache.sample(queue, recentSample))
    const snapshot = yield* flushQueue.snapshot(queue)
    const head = decodeAll(queue, yield* flushQueue.head(queue, queueSample))
    return { recent, head, snapshot } satisfies CacheSample
  })

const idsOf = (sampled: ReadonlyArray<Sampled>): ReadonlyArray<string> =>
  sampled.map(({ message }) => message.message_id)

const nameOf = ({ message }: Sampled): string =>
  `message_id ${message.message_id} (cache_id ${message.cache_id})`

/** What of a sample the tables have. */
export interface KnownToTables {
  readonly stored: ReadonlySet<string>
  readonly deleted: ReadonlySet<string>
  /** By `entryKey`. */
  readonly quarantined: ReadonlySet<string>
}

export const lookUp = Effect.fnUntraced(function* (
  view: StoreView,
  queue: QueueName,
  { recent, head }: CacheSample,
) {
  const bytes = yield* view.quarantinedBytes(
    queue,
    recent.map(({ message }) => message.cache_id),
  )
  return {
    stored: new Set(yield* view.storedIds(queue, idsOf([...recent, ...head]))),
    deleted: new Set(yield* view.deletedIds(queue, idsOf(recent))),
    quarantined: new Set(bytes.map(entryKey)),
  } satisfies KnownToTables as KnownToTables
})

/** Ids leave the queue in order, so those from its head's on are in it, also behind the sample. */
const isQueued = ({ head, snapshot }: CacheSample, { entry, message }: Sampled): boolean => {
  if (head.some((queued) => entryKey(queued.entry) === entryKey(entry))) return true
  const first = head[0]?.message.cache_id
  return first !== undefined && snapshot.length > head.length && message.cache_id >= first
}

const auditRecent = (queue: QueueName, sample: CacheSample, known: KnownToTables) => {
  const lost = sample.recent.filter(
    (recent) =>
      !known.stored.has(recent.message.message_id) &&
      !known.deleted.has(recent.message.message_id) &&
      !known.quarantined.has(entryKey(recent.entry)) &&
      !isQueued(sample, recent),
  )
  if (lost.length === 0) return []
  return [
    Finding.error("recent", queue)(
      lost.length,
      `${lost.length} of ${sample.recent.length} entries of recent caches are neither queued nor stored nor quarantined: Valkey has lost them from its queue, or their rows were deleted in the database. Publish them again with the same message_id, from what the cache shows.`,
      lost.map(nameOf),
    ),
  ]
}

/** Only what was queued before the tables were read and still is. */
const auditQueued = (
  queue: QueueName,
  { head }: CacheSample,
  headAfterwards: ReadonlyArray<Entry>,
  { stored }: KnownToTables,
) => {
  const still = new Set(headAfterwards.map(entryKey))
  const both = head.filter(
    ({ entry, message }) => stored.has(message.message_id) && still.has(entryKey(entry)),
  )
  if (both.length === 0) return []
  return [
    Finding.notice("queued-and-stored", queue)(
      both.length,
      `${both.length} of the first ${head.length} queued messages are stored already: they were sent again, or a flush ended before its acknowledgement. That is normal, and the next flush passes over them.`,
      both.map(nameOf),
    ),
  ]
}

/** @param greatest of the tables, read before the counter, which only grows */
const auditCounter = (queue: QueueName, greatest: number, lastGiven: number | undefined) => {
  if (greatest === 0 || (lastGiven !== undefined && lastGiven >= greatest)) return []
  return [
    Finding.warning("counter", queue)(
      greatest - (lastGiven ?? 0),
      `The id counter of the ${queue} queue is ${lastGiven ?? "missing"} in Valkey, and the tables have ids up to ${greatest}: Valkey has lost data or gone back in time. The next flush of a message raises it (POST /flush).`,
      [],
    ),
  ]
}

/** What a queue and its caches say against the tables, which were read after the sample and before `afterwards`. */
export const auditCache = Effect.fnUntraced(function* (
  flushQueue: FlushQueue["Type"],
  queue: QueueName,
  sample: CacheSample,
  known: KnownToTables,
  greatest: number,
) {
  const headAfterwards = yield* flushQueue.head(queue, queueSample)
  const lastGiven = yield* flushQueue.lastCacheId(queue)
  return [
    ...auditRecent(queue, sample, known),
    ...auditQueued(queue, sample, headAfterwards, known),
    ...auditCounter(queue, greatest, lastGiven),
  ] satisfies ReadonlyArray<AuditFinding> as ReadonlyArray<AuditFinding>
})
