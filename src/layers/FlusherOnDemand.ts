import { Effect, Layer } from "effect"
import type { QueueName } from "../domain/Message.ts"
import type { CacheIdCounter } from "../services/CacheIdCounter.ts"
import { Flusher } from "../services/Flusher.ts"
import { FlushQueue } from "../services/FlushQueue.ts"
import type { MessageCache } from "../services/MessageCache.ts"
import type { MessageStore } from "../services/MessageStore.ts"
import { Settings } from "../services/Settings.ts"
import * as FlushBatch from "./flushBatch.ts"

const make = Effect.gen(function* () {
  const flushBatch = yield* FlushBatch.make
  const flushQueue = yield* FlushQueue
  const settings = yield* Settings
  const limit = { entries: settings.flushBatchSize, bytes: settings.flushBatchBytes }

  const flush = Effect.fn("Flusher.flush")(function* (queue: QueueName) {
    const totals = { persisted: 0, duplicates: 0, quarantined: 0, deleted: 0 }
    let left = yield* flushQueue.length(queue)
    while (left > 0) {
      const batch = yield* flushBatch(queue, "request", limit)
      if (batch.entries === 0) break
      left -= batch.entries
      totals.persisted += batch.persisted
      totals.duplicates += batch.duplicates
      totals.quarantined += batch.quarantined
      totals.deleted += batch.deleted
    }
    return { ...totals, remaining: yield* flushQueue.length(queue) }
  })

  const drained = {
    persisted: 0,
    duplicates: 0,
    quarantined: 0,
    deleted: 0,
    remaining: undefined,
    complete: true,
  }

  return Flusher.of({
    flush,
    // The daemon looks at the queues itself, every second.
    notifyLength: () => Effect.void,
    problem: () => Effect.void as Effect.Effect<undefined>,
    isAlive: Effect.succeed(true),
    drain: Effect.succeed({ public: drained, private: drained }),
  })
})

/** Flushes when it is asked to, and has no actor, no timer and nothing to do at its end. */
export const layer: Layer.Layer<
  Flusher,
  never,
  FlushQueue | MessageCache | MessageStore | CacheIdCounter | Settings
> = Layer.scoped(Flusher, make)
