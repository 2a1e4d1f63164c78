/** The books, read at the worst moments of a flush. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Struct } from "effect"
import * as CacheIdCounterLayer from "../../src/layers/CacheIdCounter.ts"
import * as CacheMemory from "../../src/layers/CacheMemory.ts"
import * as FlushBatch from "../../src/layers/flushBatch.ts"
import * as JournalStateLayer from "../../src/layers/JournalState.ts"
import * as MessageStoreMemory from "../../src/layers/MessageStoreMemory.ts"
import * as Books from "../../src/layers/readBooks.ts"
import type { CacheIdCounter } from "../../src/services/CacheIdCounter.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import type { FlushError } from "../../src/services/Flusher.ts"
import type { CounterMissing } from "../../src/domain/Errors.ts"
import type { MessageStore } from "../../src/services/MessageStore.ts"
import { settingsLayer } from "../contracts/CacheBackend.ts"
import { publicMessage } from "../contracts/StoreBackend.ts"

const ports = Layer.provideMerge(
  Layer.merge(JournalStateLayer.layer, CacheIdCounterLayer.layer),
  Layer.merge(CacheMemory.layer.pipe(Layer.provide(settingsLayer({}))), MessageStoreMemory.layer),
)

let published = 0

const publish = (count: number) =>
  Effect.flatMap(MessageCache, (cache) =>
    cache.append(
      "public",
      Array.from({ length: count }, () => ({
        payload: JSON.stringify(Struct.omit(publicMessage(++published), "cache_id")),
        ownerId: "1",
      })),
    ),
  )

const flush = (entries: number) =>
  Effect.flatMap(FlushBatch.make, (flushBatch) =>
    flushBatch("public", "interval", { entries, bytes: 1_000_000 }),
  ).pipe(Effect.scoped)

/** The acknowledgement is lost, as it is when the process ends before it. */
const commitOnly = (entries: number) =>
  Effect.provideServiceEffect(
    flush(entries),
    FlushQueue,
    Effect.map(FlushQueue, (queue) => ({ ...queue, acknowledge: () => Effect.succeed(0) })),
  )

const whatHappens = {
  "a message is published": publish(1),
  "a batch is flushed": flush(2),
  "a batch is committed and not acknowledged": commitOnly(2),
  "a batch is committed, read again together with more, and acknowledged": Effect.zipRight(
    commitOnly(2),
    flush(4),
  ),
  "messages are published and flushed, all of them": Effect.zipRight(publish(3), flush(100)),
}

type Happening = keyof typeof whatHappens

const happen = (happening: Happening) =>
  Effect.asVoid<
    unknown,
    FlushError | CounterMissing,
    MessageCache | FlushQueue | MessageStore | CacheIdCounter
  >(whatHappens[happening]).pipe(Effect.orDie)

const happenings = Object.keys(whatHappens) as ReadonlyArray<Happening>

for (const before of happenings) {
  for (const after of happenings) {
    it.effect(`balance when ${before} right before the queue is read, and ${after} right after it`, () =>
      Effect.gen(function* () {
        const queue = yield* FlushQueue
        yield* queue.raiseCounter("public", 0)
        yield* publish(5)
        yield* flush(2)
        const context = yield* Effect.context<Layer.Layer.Success<typeof ports>>()
        const interleaved = FlushQueue.of({
          ...queue,
          snapshot: (name) =>
            name === "private"
              ? queue.snapshot(name)
              : Effect.zipRight(happen(before), Effect.zipLeft(queue.snapshot(name), happen(after))).pipe(
                  Effect.provide(context),
                ),
        })
        const readBooks = yield* Effect.provide(Books.make, Context.add(context, FlushQueue, interleaved))
        for (let look = 0; look < 3; look++) {
          const { books } = yield* readBooks
          assert.isNull(books.public.difference)
          assert.isTrue(books.public.balanced)
        }
      }).pipe(Effect.provide(ports)),
    )
  }
}
