import { Chunk, Deferred, Duration, Effect, FiberId, type Option, Schedule, type Scope, Stream } from "effect"
import type { StoreError, StoreMisconfigured } from "../domain/Errors.ts"
import type { RecordedEvent } from "../domain/Event.ts"
import { EventJournal } from "../services/EventJournal.ts"
import { JournalState } from "../services/JournalState.ts"

/** Follows the journal for all who listen in this process, with one reader. */
export interface JournalFollower {
  /** What is recorded after a position, and then what comes, until `end`. Waits while PostgreSQL is away. */
  readonly follow: (after: number) => Stream.Stream<RecordedEvent, StoreMisconfigured>
  /** Reads once more, and lets everybody who listens come to an end. */
  readonly end: Effect.Effect<void>
}

/** Everything that the journal holds after one position, up to another. */
interface Page {
  readonly after: number
  readonly upTo: number
  readonly events: ReadonlyArray<RecordedEvent>
}

/** Bounds what is held in memory: one page for all, and one for each who has fallen behind. */
const pageSize = 500

const pollInterval = Duration.seconds(1)

const lastReadWithin = Duration.seconds(1)

/** Tries again until PostgreSQL answers, and says once that it does not. */
const untilAvailable = <A>(read: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreMisconfigured> =>
  Effect.suspend(() => {
    let isTold = false
    return read.pipe(
      Effect.tapErrorTag("StoreUnavailable", ({ reason }) => {
        if (isTold) return Effect.void
        isTold = true
        return Effect.logWarning(
          `The journal cannot be followed (${reason}); it is tried again until it can.`,
        )
      }),
      Effect.retry({
        schedule: Schedule.spaced(pollInterval),
        while: (error) => error._tag === "StoreUnavailable",
      }),
      Effect.tap(() => (isTold ? Effect.logInfo("The journal can be followed again.") : Effect.void)),
      Effect.catchTag("StoreUnavailable", Effect.die),
    )
  })

/**
 * Nobody has a queue that could fill: whoever is not as far as the newest page reads what is missing from the journal,
 * as fast as it can take it.
 */
export const make: Effect.Effect<JournalFollower, never, EventJournal | JournalState | Scope.Scope> =
  Effect.gen(function* () {
    const journal = yield* EventJournal
    const journalState = yield* JournalState
    const isListenedTo = yield* Effect.makeLatch(false)
    let listeners = 0
    let newest: Page | undefined
    let hasEnded = false
    let turned = Deferred.unsafeMake<void, StoreMisconfigured>(FiberId.none)

    const tell = (news: Effect.Effect<void, StoreMisconfigured>): Effect.Effect<void> =>
      Effect.suspend(() => {
        const told = turned
        turned = Deferred.unsafeMake(FiberId.none)
        return Effect.asVoid(Deferred.complete(told, news))
      })
    const turnTo = (page: Page): Effect.Effect<void> =>
      Effect.suspend(() => {
        newest = page
        return tell(Effect.void)
      })

    const readOn = Effect.gen(function* () {
      if (newest === undefined) {
        const { position } = yield* journalState.refresh
        yield* turnTo({ after: position, upTo: position, events: [] })
      }
      while (true) {
        const after = newest!.upTo
        const events = yield* journal.read(after, pageSize)
        if (events.length > 0) yield* turnTo({ after, upTo: events.at(-1)!.position, events })
        if (events.length < pageSize) return
      }
    })

    yield* isListenedTo.await.pipe(
      Effect.zipRight(untilAvailable(readOn)),
      Effect.catchAll((error) => tell(Effect.fail(error))),
      Effect.zipRight(Effect.sleep(pollInterval)),
      Effect.forever,
      Effect.interruptible,
      Effect.forkScoped,
    )

    const catchUp = (position: number, page: Page) =>
      Effect.map(untilAvailable(journal.read(position, pageSize)), (events) => {
        const last = events.at(-1)?.position ?? position
        // What is not among the events up to there is of types that this version does not know.
        return [
          Chunk.fromIterable(events),
          events.length < pageSize ? Math.max(last, page.upTo) : last,
        ] as const
      })

    const next = (
      position: number,
    ): Effect.Effect<Option.Option<readonly [Chunk.Chunk<RecordedEvent>, number]>, StoreMisconfigured> =>
      Effect.suspend(() => {
        const page = newest
        if (page === undefined || position >= page.upTo) {
          return hasEnded
            ? Effect.succeedNone
            : Effect.zipRight(
                Deferred.await(turned),
                Effect.suspend(() => next(position)),
              )
        }
        if (position < page.after) return Effect.asSome(catchUp(position, page))
        const events = page.events.filter((event) => event.position > position)
        return Effect.succeedSome([Chunk.unsafeFromArray(events), page.upTo] as const)
      })

    const listening = Effect.acquireRelease(
      Effect.suspend(() => (++listeners === 1 ? isListenedTo.open : Effect.void)),
      () => Effect.suspend(() => (--listeners === 0 ? isListenedTo.close : Effect.void)),
    )

    const end = Effect.gen(function* () {
      if (listeners > 0) yield* readOn.pipe(Effect.disconnect, Effect.timeout(lastReadWithin), Effect.ignore)
      hasEnded = true
      yield* tell(Effect.void)
    })

    return {
      follow: (after) => Stream.unwrapScoped(Effect.as(listening, Stream.unfoldChunkEffect(after, next))),
      end,
    }
  })
