import { Duration, Effect, Layer } from "effect"
import { CacheUnavailable } from "../domain/Errors.ts"
import { CounterReseeded } from "../domain/Event.ts"
import type { QueueName } from "../domain/Message.ts"
import { CacheIdCounter } from "../services/CacheIdCounter.ts"
import { FlushQueue } from "../services/FlushQueue.ts"
import { MessageStore } from "../services/MessageStore.ts"

/** Publishers wait for this, so a PostgreSQL that hangs must not hold them for the whole deadline of the store. */
const storeDeadline = Duration.seconds(3)

const make = Effect.gen(function* () {
  const flushQueue = yield* FlushQueue
  const store = yield* MessageStore
  const greatestSeen: Record<QueueName, number | undefined> = { public: undefined, private: undefined }

  const observe = (queue: QueueName, first: number, last: number): boolean => {
    const greatest = greatestSeen[queue] ?? -1
    if (last > greatest) greatestSeen[queue] = last
    return first > greatest
  }

  const greatestKnown = (queue: QueueName) =>
    store.greatestCacheId(queue).pipe(
      Effect.disconnect,
      Effect.timeoutFail({
        duration: storeDeadline,
        onTimeout: () => new Error("PostgreSQL does not answer"),
      }),
      Effect.tap((greatest) => Effect.sync(() => observe(queue, greatest, greatest))),
      Effect.catchAll((error) =>
        greatestSeen[queue] === undefined
          ? Effect.fail(
              new CacheUnavailable({
                operation: "reseed",
                execution: "refused",
                reason: `the id counter of the ${queue} queue is missing, and PostgreSQL, which knows the last id, cannot be asked (${error.message})`,
              }),
            )
          : Effect.void,
      ),
      Effect.map(() => greatestSeen[queue] ?? 0),
    )

  const reseed = Effect.fn("CacheIdCounter.reseed")(function* (queue: QueueName) {
    const floor = yield* greatestKnown(queue)
    const { before, after } = yield* flushQueue.raiseCounter(queue, floor)
    // The first counter of a new installation starts at 0: nothing was lost, so there is nothing to tell.
    if (before === after || (before === undefined && after === 0)) return
    yield* Effect.logWarning(
      `The id counter of the ${queue} queue was ${before ?? "missing"} and has been raised to ${after}: Valkey has lost data or gone back in time.`,
    )
    const event = new CounterReseeded({ queue, from: before ?? null, to: after })
    yield* store
      .transaction((transaction) => transaction.journal([event]))
      .pipe(
        Effect.disconnect,
        Effect.timeoutFail({
          duration: storeDeadline,
          onTimeout: () => new Error("PostgreSQL does not answer"),
        }),
        Effect.catchAll((error) =>
          Effect.logWarning(`CounterReseeded (${queue}) could not be journalled: ${error.message}`),
        ),
      )
  })

  return CacheIdCounter.of({ reseed, observe })
})

export const layer: Layer.Layer<CacheIdCounter, never, FlushQueue | MessageStore> = Layer.effect(
  CacheIdCounter,
  make,
)
