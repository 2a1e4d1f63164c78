import { Effect, Layer } from "effect"
import { queueNames } from "../domain/Message.ts"
import type { CacheIdCounter } from "../services/CacheIdCounter.ts"
import { Flusher } from "../services/Flusher.ts"
import type { FlushQueue } from "../services/FlushQueue.ts"
import type { MessageCache } from "../services/MessageCache.ts"
import type { MessageStore } from "../services/MessageStore.ts"
import type { Settings } from "../services/Settings.ts"
import * as FlushBatch from "./flushBatch.ts"
import * as FlusherActor from "./FlusherActor.ts"

const make = Effect.gen(function* () {
  const flushBatch = yield* FlushBatch.make
  const actors = {
    public: yield* FlusherActor.make("public", flushBatch),
    private: yield* FlusherActor.make("private", flushBatch),
  }
  const drain = yield* Effect.cached(
    Effect.all(
      { public: actors.public.drain, private: actors.private.drain },
      { concurrency: queueNames.length },
    ),
  )
  // Whoever closes the scope drains first: this finalizer runs before the store and the cache are closed.
  yield* Effect.addFinalizer(() => drain)

  return Flusher.of({
    flush: (queue) => actors[queue].flush.pipe(Effect.withSpan("Flusher.flush", { attributes: { queue } })),
    notifyLength: (queue, length) => actors[queue].notifyLength(length),
    problem: (queue) => actors[queue].problem,
    isAlive: Effect.zipWith(actors.public.isAlive, actors.private.isAlive, (one, other) => one && other),
    drain,
  })
})

export const layer: Layer.Layer<
  Flusher,
  never,
  FlushQueue | MessageCache | MessageStore | CacheIdCounter | Settings
> = Layer.scoped(Flusher, make)
