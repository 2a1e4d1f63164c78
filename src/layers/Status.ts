import { Clock, DateTime, Duration, Effect, Either, Layer } from "effect"
import { validate as isUuid, version as uuidVersion } from "uuid"
import { decodeEntry, type Entry } from "../domain/Entry.ts"
import { type QueueName, queueNames } from "../domain/Message.ts"
import type { RateLimitSettings } from "../domain/RateLimit.ts"
import { CacheIdCounter } from "../services/CacheIdCounter.ts"
import { Flusher } from "../services/Flusher.ts"
import type { FlushQueue } from "../services/FlushQueue.ts"
import { CacheHealth, type Finding, StoreHealth } from "../services/Health.ts"
import { Instance } from "../services/Instance.ts"
import type { JournalState } from "../services/JournalState.ts"
import { MessageCache } from "../services/MessageCache.ts"
import { Publisher } from "../services/Publisher.ts"
import { RateLimiter } from "../services/RateLimiter.ts"
import { Settings } from "../services/Settings.ts"
import { type QueueStatus, type Readiness, Status } from "../services/Status.ts"
import * as Books from "./readBooks.ts"
import { answerWithin, type BooksReading, orAfter } from "./readBooks.ts"

/** When the message was made: its UUIDv7 tells, otherwise what its author says. */
const madeAt = (queue: QueueName, entry: Entry): number | undefined => {
  const decoded = decodeEntry(queue, entry)
  if (Either.isLeft(decoded)) return undefined
  const { message_id, authored_at } = decoded.right
  return isUuid(message_id) && uuidVersion(message_id) === 7
    ? Number.parseInt(message_id.replaceAll("-", "").slice(0, 12), 16)
    : Date.parse(authored_at)
}

const blocking = (check: string, reason: string): Finding => ({ severity: "blocking", check, reason })

const readinessOf = (findings: ReadonlyArray<Finding>): Readiness => ({
  status: findings.some(({ severity }) => severity === "blocking")
    ? "unavailable"
    : findings.length > 0
      ? "degraded"
      : "ok",
  problems: findings.map(({ reason }) => reason),
})

const make = Effect.gen(function* () {
  const cache = yield* MessageCache
  const cacheHealth = yield* CacheHealth
  const storeHealth = yield* StoreHealth
  const counter = yield* CacheIdCounter
  const flusher = yield* Flusher
  const instance = yield* Instance
  const readBooks = yield* Books.make
  const publisher = yield* Publisher
  const rateLimiter = yield* RateLimiter
  const settings = yield* Settings

  /** Calls the very script that publishing calls, with nothing to publish. */
  const takesMessages = Effect.fnUntraced(
    function* (queue: QueueName) {
      const tryIt = cache.append(queue, [])
      const { queueLength } = yield* tryIt.pipe(
        Effect.catchTag("CounterMissing", () => counter.reseed(queue).pipe(Effect.zipRight(tryIt))),
      )
      if (queueLength < settings.maxQueueLength) return []
      return [
        blocking(
          "queue-length",
          `The ${queue} queue is full (${queueLength} messages): no ${queue} message is taken until PostgreSQL has caught up.`,
        ),
      ]
    },
    Effect.catchAll((error) => Effect.succeed([blocking("publish", error.message)])),
  )

  const publishing = Effect.gen(function* () {
    if (!(yield* publisher.load).open) {
      return [blocking("shutdown", "chat-cache is shutting down and takes no new messages.")]
    }
    const findings = yield* cacheHealth.findings
    if (findings.some(({ severity }) => severity === "blocking")) return findings
    return [...findings, ...(yield* takesMessages("public")), ...(yield* takesMessages("private"))]
  }).pipe(
    orAfter<ReadonlyArray<Finding>>([
      blocking("publish", `Valkey has not answered within ${Duration.format(answerWithin)}.`),
    ]),
  )

  const storing = Effect.gen(function* () {
    const findings = yield* storeHealth.findings
    const reasons: Array<string> = []
    const problem = yield* storeHealth.problem
    if (problem !== undefined) reasons.push(problem)
    for (const queue of queueNames) {
      const flushProblem = yield* flusher.problem(queue)
      if (flushProblem === undefined) continue
      reasons.push(
        `The ${queue} queue cannot be flushed since ${flushProblem.since} (${flushProblem.attempts} attempts): ${flushProblem.reason}`,
      )
    }
    return [
      ...findings,
      ...reasons.map((reason): Finding => ({ severity: "warning", check: "flush", reason })),
    ]
  })

  const readiness = Effect.zipWith(publishing, storing, (first, second) =>
    readinessOf([...first, ...second]),
  ).pipe(Effect.withSpan("Status.readiness"))

  const queueStatus = Effect.fnUntraced(function* (
    queue: QueueName,
    { snapshots, folded, books }: BooksReading,
    now: number,
  ) {
    const { flush, quarantine, reseeds } = folded.state.queues[queue]
    const snapshot = snapshots[queue]
    const made = snapshot?.head === undefined ? undefined : madeAt(queue, snapshot.head)
    const status: QueueStatus = {
      length: snapshot?.length ?? null,
      oldestAgeMs: made === undefined ? null : Math.max(0, now - made),
      ...flush,
      quarantine,
      reseeds,
      problem: (yield* flusher.problem(queue)) ?? null,
      books: books[queue],
    }
    return status
  })

  const report = Effect.gen(function* () {
    const asked = yield* Effect.all(
      {
        // It raises a missing counter, so the books are looked at afterwards.
        readiness,
        rateLimit: rateLimiter.settings.pipe(orAfter<RateLimitSettings | undefined>(undefined)),
      },
      { concurrency: "unbounded" },
    )
    const now = yield* Clock.currentTimeMillis
    const reading = yield* readBooks
    const { state, position } = reading.folded
    return {
      ...asked.readiness,
      instanceId: instance.id,
      version: instance.version,
      startedAt: DateTime.formatIso(DateTime.unsafeMake(instance.startedAt)),
      queues: {
        public: yield* queueStatus("public", reading, now),
        private: yield* queueStatus("private", reading, now),
      },
      settings: {
        ...(asked.rateLimit ?? state.rateLimit ?? settings.rateLimit),
        maxCacheSize: settings.maxCacheSize,
        flushIntervalMs: Duration.toMillis(settings.flushInterval),
        flushBatchSize: settings.flushBatchSize,
        maxQueueLength: settings.maxQueueLength,
        shutdownTimeoutMs: Duration.toMillis(settings.shutdownTimeout),
      },
      journalPosition: position,
    }
  }).pipe(Effect.withSpan("Status.report"))

  return Status.of({ report, readiness })
})

export const layer: Layer.Layer<
  Status,
  never,
  | CacheHealth
  | CacheIdCounter
  | Flusher
  | FlushQueue
  | Instance
  | JournalState
  | MessageCache
  | Publisher
  | RateLimiter
  | Settings
  | StoreHealth
> = Layer.effect(Status, make)
