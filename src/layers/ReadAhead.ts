import { Effect, Exit, Fiber } from "effect"
import type { CacheUnavailable } from "../domain/Errors.ts"
import type { QueueName } from "../domain/Message.ts"
import { FlushQueue, type ReadLimit } from "../services/FlushQueue.ts"
import { MessageStore } from "../services/MessageStore.ts"
import * as QueuedBatch from "./QueuedBatch.ts"

interface Ahead {
  readonly limit: ReadLimit
  readonly fiber: Fiber.RuntimeFiber<QueuedBatch.QueuedBatch, CacheUnavailable>
}

const isSameLimit = (one: ReadLimit, other: ReadLimit): boolean =>
  one.entries === other.entries && one.bytes === other.bytes

/**
 * Reads, decodes and prepares the next batch of a queue while PostgreSQL works on this one, which takes longer.
 *
 * What was read ahead is a guess: it counts only if the queue begins with it when its turn comes. So a batch that failed,
 * another flusher or a loss of Valkey's data cost a second reading, and nothing else.
 */
export const make = Effect.gen(function* () {
  const flushQueue = yield* FlushQueue
  const store = yield* MessageStore
  const scope = yield* Effect.scope
  const ahead: Record<QueueName, Ahead | undefined> = { public: undefined, private: undefined }

  const guess = Effect.fnUntraced(function* (queue: QueueName, limit: ReadLimit) {
    const begun = ahead[queue]
    ahead[queue] = undefined
    if (begun === undefined || !isSameLimit(begun.limit, limit)) return undefined
    const exit = yield* Fiber.await(begun.fiber)
    // Where there were only a few entries, there may be many by now.
    return Exit.isSuccess(exit) && exit.value.entries.length === limit.entries ? exit.value : undefined
  })

  return {
    /** The batch at the head of the queue. */
    next: Effect.fnUntraced(function* (queue: QueueName, limit: ReadLimit) {
      const guessed = yield* guess(queue, limit)
      const entries = yield* flushQueue.head(queue, limit, guessed?.entries)
      return entries === guessed?.entries ? guessed : yield* QueuedBatch.decode(queue, entries)
    }),

    /** Begins to read what follows a batch, unless that was all. */
    begin: Effect.fnUntraced(function* (
      queue: QueueName,
      limit: ReadLimit,
      { entries }: QueuedBatch.QueuedBatch,
    ) {
      if (entries.length < limit.entries) return
      const fiber = yield* flushQueue.following(queue, entries.length, limit).pipe(
        Effect.flatMap((next) => QueuedBatch.decode(queue, next)),
        Effect.tap(({ rows }) => store.prepareInsert(queue, QueuedBatch.messagesOf(rows))),
        Effect.interruptible,
        Effect.forkIn(scope),
      )
      ahead[queue] = { limit, fiber }
    }),
  }
})
