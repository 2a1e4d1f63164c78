import { Duration, Effect } from "effect"
import { queueBooks, type QueueBooks } from "../domain/Books.ts"
import type { QueueName } from "../domain/Message.ts"
import { FlushQueue, type QueueSnapshot } from "../services/FlushQueue.ts"
import { type FoldedState, JournalState } from "../services/JournalState.ts"

/** Whatever hangs, whoever asks has an answer after this long. */
export const answerWithin = Duration.seconds(3)

export const orAfter =
  <A>(onTimeout: A) =>
  <E>(effect: Effect.Effect<A, E>): Effect.Effect<A> =>
    effect.pipe(
      Effect.disconnect,
      Effect.timeout(answerWithin),
      Effect.orElseSucceed(() => onTimeout),
    )

export interface BooksReading {
  /** `undefined` where Valkey cannot be asked. */
  readonly snapshots: Readonly<Record<QueueName, QueueSnapshot | undefined>>
  readonly folded: FoldedState
  readonly books: Readonly<Record<QueueName, QueueBooks>>
}

/** The books of both queues as they are now. Never fails: what cannot be asked is `null` in them. */
export const make: Effect.Effect<
  Effect.Effect<BooksReading>,
  never,
  FlushQueue | JournalState
> = Effect.zipWith(FlushQueue, JournalState, (flushQueue, journalState) => {
  const snapshotOf = (queue: QueueName) =>
    flushQueue.snapshot(queue).pipe(orAfter<QueueSnapshot | undefined>(undefined))

  /** The queues first and the journal after them, which is what `queueBooks` asks for. */
  const readOnce: Effect.Effect<BooksReading> = Effect.gen(function* () {
    const snapshots = yield* Effect.all(
      { public: snapshotOf("public"), private: snapshotOf("private") },
      { concurrency: "unbounded" },
    )
    const isUpToDate = yield* journalState.refresh.pipe(Effect.as(true), orAfter(false))
    const folded = yield* journalState.lastKnown
    const books = (queue: QueueName) =>
      queueBooks(folded.state.queues[queue], isUpToDate ? snapshots[queue] : undefined)
    return { snapshots, folded, books: { public: books("public"), private: books("private") } }
  })

  // A replay takes its id before it is journalled: a difference has to be seen more than once.
  return readOnce.pipe(
    Effect.repeat({
      times: 2,
      until: ({ books }) => books.public.balanced !== false && books.private.balanced !== false,
    }),
  )
})
