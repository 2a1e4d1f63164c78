import { DateTime, Effect, Either, Layer } from "effect"
import { nextMessageId } from "./MessageIds.ts"
import { decodeEntry, salvageEntry } from "../domain/Entry.ts"
import { CacheUnavailable, ReplayRefused } from "../domain/Errors.ts"
import {
  type CachedMessage,
  PrivateMessageDraft,
  PublicMessageDraft,
  type QueueName,
} from "../domain/Message.ts"
import { type QuarantineCommand, type QuarantineEntry, quarantineDecider } from "../domain/Quarantine.ts"
import { decodeWithProblems, type Problem } from "../domain/Validation.ts"
import { CacheIdCounter } from "../services/CacheIdCounter.ts"
import { FlushQueue } from "../services/FlushQueue.ts"
import { MessageStore, type StoreTransaction } from "../services/MessageStore.ts"
import { Quarantine } from "../services/Quarantine.ts"

const decodeDraft = {
  public: decodeWithProblems(PublicMessageDraft),
  private: decodeWithProblems(PrivateMessageDraft),
}

type Uncached = { readonly cache_id: number | undefined; readonly message: Omit<CachedMessage, "cache_id"> }

/** The quarantined message as it was: only possible when it was PostgreSQL, not its shape, that refused it. */
const asItWas = (entry: QuarantineEntry): Either.Either<Uncached, ReadonlyArray<Problem>> =>
  Either.mapBoth(decodeEntry(entry.queue, entry.raw), {
    onLeft: ({ detail }) => [{ field: "", problem: detail }],
    onRight: ({ cache_id, ...message }) => ({ cache_id, message }),
  })

/** Who the quarantined message is, and when it was written, as far as that can be read. */
const identityOf = (entry: QuarantineEntry) => {
  const decoded = decodeEntry(entry.queue, entry.raw)
  return Either.isRight(decoded) ? decoded.right : salvageEntry(entry.raw)
}

/**
 * A corrected message keeps the identity and the time of the quarantined one. Only where the identity itself is the
 * problem, because another message has it, does it get the one of the correction, or a new one.
 */
const corrected = (
  entry: QuarantineEntry,
  draft: unknown,
  now: string,
): Either.Either<Uncached, ReadonlyArray<Problem>> =>
  Either.map(
    decodeDraft[entry.queue](draft) as Either.Either<
      PublicMessageDraft | PrivateMessageDraft,
      ReadonlyArray<Problem>
    >,
    (valid) => {
      const kept = identityOf(entry)
      const keptId = entry.reason === "message_id_conflict" ? undefined : kept.message_id
      return {
        cache_id: entry.cache_id ?? kept.cache_id,
        message: {
          ...valid,
          message_id: keptId ?? valid.message_id ?? nextMessageId(),
          authored_at: kept.authored_at ?? valid.authored_at ?? now,
        } as Omit<CachedMessage, "cache_id">,
      }
    },
  )

const make = Effect.gen(function* () {
  const store = yield* MessageStore
  const flushQueue = yield* FlushQueue
  const counter = yield* CacheIdCounter

  const nextCacheId = (queue: QueueName) =>
    flushQueue.nextCacheId(queue).pipe(
      Effect.catchTag("CounterMissing", () =>
        counter.reseed(queue).pipe(Effect.zipRight(flushQueue.nextCacheId(queue))),
      ),
      Effect.catchTag("CounterMissing", (error) =>
        Effect.fail(
          new CacheUnavailable({ operation: "replay", execution: "refused", reason: error.message }),
        ),
      ),
    )

  /** Decides, records and resolves within the transaction that has locked the entry. */
  const resolve = Effect.fnUntraced(function* (
    transaction: StoreTransaction,
    entry: QuarantineEntry,
    command: QuarantineCommand,
  ) {
    const events = yield* quarantineDecider.decide(command, entry)
    if (events.length === 0) return
    const { status } = events.reduce(quarantineDecider.evolve, entry)
    if (status !== "open") yield* transaction.resolveQuarantineEntry(entry.id, status)
    yield* transaction.journal(events)
  })

  const insert = Effect.fnUntraced(function* (
    transaction: StoreTransaction,
    entry: QuarantineEntry,
    message: CachedMessage,
  ) {
    const refuse = (problem: string) =>
      new ReplayRefused({ id: entry.id, problems: [{ field: "", problem }] })
    const report = yield* transaction
      .insert(entry.queue, [message])
      .pipe(Effect.catchTag("RowsRefused", (error) => Effect.fail(refuse(error.message))))
    if (report.deleted.length > 0) return yield* refuse(`message_id ${message.message_id} was deleted`)
    if (report.conflicts.length > 0) {
      return yield* refuse(`message_id ${message.message_id} is stored with other content`)
    }
    return report.inserted > 0
  })

  const replay = Effect.fn("Quarantine.replay")(function* (id: number, correction?: unknown) {
    const now = DateTime.formatIso(yield* DateTime.now)
    yield* store.transaction(
      Effect.fnUntraced(function* (transaction) {
        const entry = yield* transaction.lockQuarantineEntry(id)
        const isCorrected = correction !== undefined
        // Decided before anything is read of the message, so that a repetition is recognised whatever the body says.
        const command = {
          _tag: "Replay",
          messageId: "",
          corrected: isCorrected,
          addedRow: false,
          tookCacheId: false,
        } as const
        if ((yield* quarantineDecider.decide(command, entry)).length === 0) return
        const { cache_id, message } = yield* Either.mapLeft(
          isCorrected ? corrected(entry, correction, now) : asItWas(entry),
          (problems) => new ReplayRefused({ id, problems }),
        )
        const addedRow = yield* insert(transaction, entry, {
          cache_id: cache_id ?? (yield* nextCacheId(entry.queue)),
          ...message,
        } as CachedMessage)
        yield* resolve(transaction, entry, {
          ...command,
          messageId: message.message_id,
          addedRow,
          tookCacheId: cache_id === undefined,
        })
      }),
    )
    return yield* store.quarantineEntry(id)
  })

  const discard = Effect.fn("Quarantine.discard")(function* (id: number) {
    yield* store.transaction((transaction) =>
      transaction
        .lockQuarantineEntry(id)
        .pipe(Effect.flatMap((entry) => resolve(transaction, entry, { _tag: "Discard" }))),
    )
    return yield* store.quarantineEntry(id)
  })

  return Quarantine.of({
    list: Effect.fn("Quarantine.list")((filter) =>
      store.quarantineEntries({ ...filter, status: filter.status ?? "open" }),
    ),
    show: Effect.fn("Quarantine.show")((id) => store.quarantineEntry(id)),
    replay,
    discard,
  })
})

export const layer: Layer.Layer<Quarantine, never, MessageStore | FlushQueue | CacheIdCounter> = Layer.effect(
  Quarantine,
  make,
)
