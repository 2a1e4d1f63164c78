import { Duration, Effect, Layer, Schema } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import {
  assemblePage,
  type HistoryQuery,
  type HistoryRange,
  type HistoryScope,
  messagesInRange,
  type Position,
  rangeOf,
  type StoredPart,
} from "../domain/History.ts"
import type { CachedMessage, QueueName } from "../domain/Message.ts"
import { StorableText } from "../domain/Text.ts"
import { FlushQueue } from "../services/FlushQueue.ts"
import { History } from "../services/History.ts"
import { MessageCache } from "../services/MessageCache.ts"
import { MessageStore } from "../services/MessageStore.ts"

/** The most that one page looks at in a queue. What lies beyond is found from the page's cursor on. */
const maximumScan = { entries: 10_000, bytes: 8 * 1024 * 1024 }

/** The fewest entries of one reading. */
const minimumReading = 64

/** A page that the queue fills alone does not wait longer than this for what PostgreSQL knows of its messages. */
const patience = Duration.seconds(1)

/** A name that PostgreSQL cannot store is that of no channel and of no user, and could not be asked for either. */
const isStorable = Schema.is(StorableText)

const make = Effect.gen(function* () {
  const flushQueue = yield* FlushQueue
  const store = yield* MessageStore
  const cache = yield* MessageCache

  /** What is deleted is in PostgreSQL, and as far as readers need it, in Valkey. */
  const withoutStore = (queue: QueueName, error: { readonly message: string }) =>
    Effect.logDebug(`A page of what is queued is shown alone: ${error.message}`).pipe(
      Effect.zipRight(cache.deletedIds(queue)),
      Effect.map((settled): StoredPart => ({ messages: [], settled })),
    )

  const orWithoutStore = (queue: QueueName, stored: Effect.Effect<StoredPart, StoreError>) =>
    stored.pipe(
      Effect.disconnect,
      Effect.timeoutFail({ duration: patience, onTimeout: () => new Error("PostgreSQL does not answer") }),
      Effect.catchAll((error) => withoutStore(queue, error)),
    )

  /** Reads on until there is more than a page, and each time twice as much, because most may be out of the scope. */
  const scan = Effect.fnUntraced(function* (scope: HistoryScope, range: HistoryRange, limit: number) {
    const messages: Array<CachedMessage> = []
    let horizon: Position | undefined
    let isInside: boolean | undefined
    let entriesLeft = maximumScan.entries
    let bytesLeft = maximumScan.bytes
    let entries = Math.max(limit + 1, minimumReading)
    while (true) {
      const from = horizon ?? range.from
      const page = yield* flushQueue.page(
        scope.queue,
        { direction: range.direction, from: from?.cache_id },
        { entries: Math.min(entries, entriesLeft), bytes: bytesLeft },
      )
      isInside ??= page.isInside
      const found = messagesInRange(scope, { direction: range.direction, from }, page.entries)
      messages.push(...found.messages)
      if (!page.hasMore) return { messages, horizon: undefined, isInside }
      horizon = found.last ?? horizon
      entriesLeft -= page.entries.length
      for (const entry of page.entries) bytesLeft -= entry.length
      if (messages.length > limit || entriesLeft <= 0 || bytesLeft <= 0)
        return { messages, horizon, isInside }
      entries *= 2
    }
  })

  const page = Effect.fn("History.page")(function* (scope: HistoryScope, query: HistoryQuery) {
    const { limit, ...range } = yield* rangeOf(query)
    if (!isStorable(scope.queue === "public" ? (scope.channel ?? "") : scope.userId)) return { messages: [] }
    const queued = yield* scan(scope, range, limit)
    const queuedIds = new Set(queued.messages.map(({ message_id }) => message_id))
    const stored = store.history(scope, range, limit + 1, [...queuedIds])
    // Towards the newer messages, what is stored comes first, unless the range begins within the queue.
    const beginsQueued = range.direction === "before" || queued.isInside
    const isFull = beginsQueued && (queuedIds.size > limit || queued.horizon !== undefined)
    return assemblePage({
      range,
      limit,
      queued,
      stored: yield* isFull ? orWithoutStore(scope.queue, stored) : stored,
    })
  })

  return History.of({ page })
})

export const layer: Layer.Layer<History, never, FlushQueue | MessageCache | MessageStore> = Layer.effect(
  History,
  make,
)
