import { Effect, Layer, Ref } from "effect"
import { initialState, evolve } from "../domain/State.ts"
import { EventJournal } from "../services/EventJournal.ts"
import { type FoldedState, JournalState } from "../services/JournalState.ts"
import type { RecordedEvent } from "../domain/Event.ts"

/** Bounds the memory that one reading takes, however long the journal is. */
const pageSize = 1000

const fold = (folded: FoldedState, { position, event }: RecordedEvent): FoldedState => ({
  position,
  state: evolve(folded.state, event),
  rateLimitPosition: event._tag === "RateLimitChanged" ? position : folded.rateLimitPosition,
})

const make = Effect.gen(function* () {
  const journal = yield* EventJournal
  const folded = yield* Ref.make<FoldedState>({ position: 0, state: initialState, rateLimitPosition: 0 })
  // Two readings at once would fold the same events twice.
  const mutex = yield* Effect.makeSemaphore(1)

  const readOn = Effect.gen(function* () {
    while (true) {
      const { position } = yield* Ref.get(folded)
      const events = yield* journal.read(position, pageSize)
      yield* Ref.update(folded, (current) => events.reduce(fold, current))
      if (events.length < pageSize) return yield* Ref.get(folded)
    }
  })

  return JournalState.of({
    refresh: readOn.pipe(mutex.withPermits(1), Effect.withSpan("JournalState.refresh")),
    lastKnown: Ref.get(folded),
  })
})

export const layer: Layer.Layer<JournalState, never, EventJournal> = Layer.effect(JournalState, make)
