import { Clock, Duration, Effect, Layer } from "effect"
import type { QueueBooks } from "../domain/Books.ts"
import { StoreUnavailable } from "../domain/Errors.ts"
import { type QueueName, queueNames } from "../domain/Message.ts"
import { Audit, type AuditFinding, type AuditReport, type QueueCount } from "../services/Audit.ts"
import { FlushQueue } from "../services/FlushQueue.ts"
import type { JournalState } from "../services/JournalState.ts"
import { MessageCache } from "../services/MessageCache.ts"
import { StoreSnapshot, type StoreView } from "../services/StoreSnapshot.ts"
import { auditCache, type CacheSample, lookUp, sampleCache } from "./audit/auditCache.ts"
import { auditTables } from "./audit/auditTables.ts"
import * as Finding from "./audit/finding.ts"
import { recountJournal } from "./audit/recountJournal.ts"
import * as Books from "./readBooks.ts"

/** For everything, waiting for an audit that is under way included. */
const deadline = Duration.minutes(1)

const severities: ReadonlyArray<AuditFinding["severity"]> = ["error", "warning", "notice"]

const auditBooks = (queue: QueueName, { lost, balanced, difference }: QueueBooks) => {
  if (balanced !== false || difference === null) return []
  const finding = lost > 0 ? Finding.error("books", queue) : Finding.warning("books", queue)
  return [finding(lost, difference)]
}

type PerQueue<A> = Readonly<Record<QueueName, A>>

const perQueue = <A, E, R>(ask: (queue: QueueName) => Effect.Effect<A, E, R>) =>
  Effect.all({ public: ask("public"), private: ask("private") })

/** One question after the other: an audit should not be what slows a flush down. */
const readTables = (view: StoreView, samples: PerQueue<CacheSample>) =>
  Effect.gen(function* () {
    const recount = yield* recountJournal(view)
    const tables = yield* perQueue((queue) => auditTables(view, queue, recount))
    const known = yield* perQueue((queue) => lookUp(view, queue, samples[queue]))
    const greatest = yield* perQueue(view.greatestCacheId)
    return { position: recount.position, tables, known, greatest }
  })

const make = Effect.gen(function* () {
  const cache = yield* MessageCache
  const flushQueue = yield* FlushQueue
  const snapshot = yield* StoreSnapshot
  const readBooks = yield* Books.make
  const oneAtATime = yield* Effect.makeSemaphore(1)

  const recount = Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const { books } = yield* readBooks
    const samples = yield* perQueue((queue) => sampleCache(cache, flushQueue, queue))
    const { position, tables, known, greatest } = yield* snapshot.read(
      (view) => readTables(view, samples),
      deadline,
    )
    const findings: Array<AuditFinding> = []
    for (const queue of queueNames) {
      findings.push(...auditBooks(queue, books[queue]), ...tables[queue].findings)
      findings.push(...(yield* auditCache(flushQueue, queue, samples[queue], known[queue], greatest[queue])))
    }
    const countOf = (queue: QueueName): QueueCount => ({
      ...tables[queue].counts,
      quarantine: tables[queue].quarantine,
      queued: samples[queue].snapshot.length,
    })
    return {
      consistent: findings.every(({ severity }) => severity !== "error"),
      findings: severities.flatMap((severity) => findings.filter((one) => one.severity === severity)),
      queues: { public: countOf("public"), private: countOf("private") },
      journalPosition: position,
      durationMs: (yield* Clock.currentTimeMillis) - startedAt,
    } satisfies AuditReport as AuditReport
  })

  return Audit.of({
    report: recount.pipe(
      oneAtATime.withPermits(1),
      Effect.disconnect,
      Effect.timeoutFail({
        duration: deadline,
        onTimeout: () =>
          new StoreUnavailable({
            operation: "Audit.report",
            reason: `the books could not be recounted within ${Duration.format(deadline)}`,
            sqlstate: null,
          }),
      }),
      Effect.withSpan("Audit.report"),
    ),
  })
})

export const layer: Layer.Layer<Audit, never, FlushQueue | JournalState | MessageCache | StoreSnapshot> =
  Layer.effect(Audit, make)
