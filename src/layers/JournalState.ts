import { Effect, Layer, Ref } from "effect"
import type { StoreError } from "../domain/Errors.ts"
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

  /** How many readings have failed, and with what the last one did. */
  let failures = 0
  let lastFailure: StoreError | undefined

  const readOn = Effect.gen(function* () {
    while (true) {
      const { position } = yield* Ref.get(folded)
      const events = yield* journal.read(position, pageSize)
      yield* Ref.update(folded, (current) => events.reduce(fold, current))
      if (events.length < pageSize) return yield* Ref.get(folded)
    }
  }).pipe(
    Effect.tapError((error) =>
      Effect.sync(() => {
        failures++
        lastFailure = error
      }),
    ),
  )

  /** Whoever waited for a reading that failed fails with it: one deadline of the store for all, instead of one each. */
  const refresh = Effect.suspend(() => {
    const before = failures
    return Effect.suspend(() =>
      failures === before || lastFailure === undefined ? readOn : Effect.fail(lastFailure),
    ).pipe(mutex.withPermits(1))
  })

  return JournalState.of({
    refresh: refresh.pipe(Effect.withSpan("JournalState.refresh")),
    lastKnown: Ref.get(folded),
  })
})

export const layer: Layer.Layer<JournalState, never, EventJournal> = Layer.effect(JournalState, make)
