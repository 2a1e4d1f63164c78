import {
  Clock,
  DateTime,
  Deferred,
  Duration,
  Effect,
  Fiber,
  FiberHandle,
  LogLevel,
  Mailbox,
  Option,
  Schedule,
} from "effect"
import { ShuttingDown } from "../domain/Errors.ts"
import type { FlushTrigger } from "../domain/Event.ts"
import { flushDecider, type OutageReport } from "../domain/Flush.ts"
import type { QueueName } from "../domain/Message.ts"
import type { DrainReport, FlushError, FlushProblem, FlushReport } from "../services/Flusher.ts"
import { FlushQueue, type ReadLimit } from "../services/FlushQueue.ts"
import { MessageStore } from "../services/MessageStore.ts"
import { Settings } from "../services/Settings.ts"
import * as BatchSize from "./BatchSize.ts"
import type { BatchResult } from "./flushBatch.ts"
import { inOwnFiber } from "./inOwnFiber.ts"
import * as Metrics from "./Metrics.ts"
import { shutdownShares } from "./shutdownShares.ts"
import { stopWatch } from "./stopWatch.ts"

type Command =
  | { readonly _tag: "Beat" }
  | { readonly _tag: "Wake"; readonly trigger: "threshold" | "interval" | "retry" }
  | { readonly _tag: "Request"; readonly reply: Deferred.Deferred<FlushReport, FlushError> }
  | { readonly _tag: "Drain"; readonly complete: Deferred.Deferred<void> }

interface Totals {
  persisted: number
  duplicates: number
  quarantined: number
  deleted: number
}

const noTotals = (): Totals => ({ persisted: 0, duplicates: 0, quarantined: 0, deleted: 0 })

/** How many callers may wait for a flush by hand. All that wait share one. */
const mailboxCapacity = 1024

/** How often the queue is looked at for messages that another process put there. */
const watchInterval = Duration.seconds(1)

/** Longer than any operation of a turn may take, so that an actor that takes none for so long never will. */
const longestTurn = Duration.minutes(1)

/** Exponential from 200 ms; with jitter of 20 % never more than 30 s. */
const backoff = Schedule.exponential(Duration.millis(200)).pipe(
  Schedule.either(Schedule.spaced(Duration.seconds(25))),
  Schedule.jittered,
)

/** During a drain every second counts, and there are only a few. */
const drainBackoff = Schedule.exponential(Duration.millis(200)).pipe(
  Schedule.either(Schedule.spaced(Duration.seconds(2))),
  Schedule.jittered,
)

/**
 * Statement timeout, lack of memory or locks, and no answer within the deadline or a broken connection: a smaller batch
 * may get through. Where it was only an outage, the next few batches have their old size again.
 */
const wantsSmallerBatch = (error: FlushError): boolean =>
  error._tag === "StoreUnavailable" &&
  (error.sqlstate === null || ["57014", "53200", "53400"].includes(error.sqlstate))

/**
 * The actor that flushes one queue: one fiber, one bounded mailbox, state that nobody else touches.
 *
 * Timers only post to the mailbox. While flushing fails, the wake-ups of length and time are passed over, and only
 * the backoff timer, a request by hand or the drain tries again.
 */
export const make = Effect.fnUntraced(function* (
  queue: QueueName,
  flushBatch: (
    queue: QueueName,
    trigger: FlushTrigger,
    limit: ReadLimit,
  ) => Effect.Effect<BatchResult, FlushError>,
) {
  const flushQueue = yield* FlushQueue
  const store = yield* MessageStore
  const settings = yield* Settings
  const mailbox = yield* Mailbox.make<Command>({ capacity: mailboxCapacity, strategy: "dropping" })
  const retryTimer = yield* FiberHandle.make()
  const retrySchedule = yield* Schedule.driver(backoff)

  let wakePending = false
  let beatPending = false
  let sinceLastTurn = yield* stopWatch
  const batchSize = BatchSize.make(settings.flushBatchSize)
  /** Whether a batch went through since the last failure. */
  let hasProgressed = false
  let problem: (FlushProblem & { readonly elapsed: Effect.Effect<Duration.Duration> }) | undefined
  /** An outage that is over and not in the journal yet. */
  let outageToReport: OutageReport | undefined

  const wake = (trigger: "threshold" | "interval" | "retry") =>
    Effect.sync(() => {
      if (wakePending && trigger !== "retry") return
      wakePending = mailbox.unsafeOffer({ _tag: "Wake", trigger })
    })

  /** Has an actor that has nothing to do show that it could. */
  const beat = Effect.sync(() => {
    if (!beatPending) beatPending = mailbox.unsafeOffer({ _tag: "Beat" })
  })

  const showTurn = Effect.map(stopWatch, (sinceNow) => {
    sinceLastTurn = sinceNow
  })

  const notifyLength = (length: number) =>
    length >= settings.maxCacheSize && problem === undefined ? wake("threshold") : Effect.void

  const adaptBatch = (error: FlushError) =>
    Effect.sync(() => {
      if (wantsSmallerBatch(error)) batchSize.failed()
    })

  const count = (batch: BatchResult, duration: Duration.Duration): void => {
    Metrics.flushSeconds[queue].unsafeUpdate(Duration.toSeconds(duration), [])
    Metrics.flushBatchMessages[queue].unsafeUpdate(batch.entries, [])
    Metrics.persisted[queue].unsafeUpdate(batch.persisted, [])
    Metrics.duplicates[queue].unsafeUpdate(batch.duplicates, [])
    Metrics.quarantined[queue].unsafeUpdate(batch.quarantined, [])
    Metrics.deleted[queue].unsafeUpdate(batch.deleted, [])
  }

  /** Flushes batch after batch until as much has left the queue as it held at the beginning. */
  const workOff = Effect.fnUntraced(function* (trigger: FlushTrigger, totals: Totals) {
    let left = yield* flushQueue.length(queue)
    while (left > 0) {
      yield* showTurn
      const limit = { entries: batchSize.entries(), bytes: settings.flushBatchBytes }
      const elapsed = yield* stopWatch
      const batch = yield* flushBatch(queue, trigger, limit).pipe(Effect.tapError(adaptBatch))
      if (batch.entries === 0) break
      count(batch, yield* elapsed)
      left -= batch.entries
      totals.persisted += batch.persisted
      totals.duplicates += batch.duplicates
      totals.quarantined += batch.quarantined
      totals.deleted += batch.deleted
      batchSize.succeeded()
      hasProgressed = true
    }
    return { ...totals, remaining: yield* flushQueue.length(queue) }
  })

  const onFailure = Effect.fnUntraced(function* (error: FlushError) {
    const now = yield* Clock.currentTimeMillis
    problem = {
      reason: error.message,
      attempts: (problem?.attempts ?? 0) + 1,
      since: problem?.since ?? DateTime.formatIso(DateTime.unsafeMake(now)),
      elapsed: problem?.elapsed ?? (yield* stopWatch),
    }
    Metrics.flushFailures[queue][error._tag].unsafeUpdate(1, [])
    const isOutage = error._tag === "StoreUnavailable" || error._tag === "CacheUnavailable"
    yield* Effect.logWithLevel(
      isOutage ? LogLevel.Warning : LogLevel.Error,
      `Flush of the ${queue} queue failed (attempt ${problem.attempts}, since ${problem.since}): ${error.message}`,
    )
    // Pauses grow only while nothing gets through.
    if (hasProgressed) yield* retrySchedule.reset
    hasProgressed = false
    // The driver sleeps for the next delay of the schedule, which never ends.
    yield* FiberHandle.run(
      retryTimer,
      retrySchedule.next(undefined).pipe(Effect.ignore, Effect.zipRight(wake("retry"))),
    )
  })

  const endOutage = Effect.fnUntraced(function* () {
    if (problem === undefined) return
    yield* Effect.logInfo(
      `Flush of the ${queue} queue works again after ${problem.attempts} failed attempts.`,
    )
    outageToReport = {
      _tag: "RecordOutage",
      queue,
      reason: problem.reason,
      attempts: problem.attempts + (outageToReport?.attempts ?? 0),
      startedAt: outageToReport?.startedAt ?? problem.since,
      durationMs: Math.round(Duration.toMillis(yield* problem.elapsed)) + (outageToReport?.durationMs ?? 0),
    }
    problem = undefined
    yield* FiberHandle.clear(retryTimer)
    yield* retrySchedule.reset
  })

  /** A queue that is empty again needs no PostgreSQL, which may still be away: then the report waits. */
  const reportOutage = Effect.gen(function* () {
    if (outageToReport === undefined) return
    const events = yield* flushDecider.decide(outageToReport)
    yield* store.transaction((transaction) => transaction.journal(events))
    outageToReport = undefined
  }).pipe(
    Effect.catchAll((error) =>
      Effect.logWarning(`The outage of the ${queue} queue is not journalled yet: ${error.message}`),
    ),
  )

  const onSuccess = (report: FlushReport) =>
    Effect.sync(batchSize.reset).pipe(
      Effect.zipRight(endOutage()),
      Effect.zipRight(reportOutage),
      Effect.zipRight(report.remaining === 0 ? Effect.void : notifyLength(report.remaining)),
    )

  const attempt = (trigger: FlushTrigger, totals: Totals = noTotals()) =>
    workOff(trigger, totals).pipe(
      Effect.tapBoth({ onFailure, onSuccess }),
      Effect.annotateLogs({ queue, trigger }),
      Effect.withSpan("Flusher.attempt", { attributes: { queue, trigger } }),
    )

  const drainTotals = noTotals()
  const drainQueue = attempt("drain", drainTotals).pipe(
    Effect.retry(drainBackoff),
    Effect.asVoid,
    Effect.orDie,
  )

  const handle = Effect.fnUntraced(function* (commands: ReadonlyArray<Command>) {
    wakePending = false
    beatPending = false
    yield* showTurn
    const requests = commands.filter((command) => command._tag === "Request")
    const drains = commands.filter((command) => command._tag === "Drain")
    const wakes = commands.filter((command) => command._tag === "Wake")
    const due = problem === undefined ? wakes[0] : wakes.find((command) => command.trigger === "retry")
    if (requests.length > 0) {
      const exit = yield* Effect.exit(attempt("request"))
      for (const { reply } of requests) yield* Deferred.done(reply, exit)
    } else if (drains.length === 0 && due !== undefined) {
      yield* Effect.ignore(attempt(due.trigger))
    }
    if (drains.length === 0) return
    yield* drainQueue
    for (const { complete } of drains) yield* Deferred.succeed(complete, undefined)
  })

  const actor = yield* Effect.gen(function* () {
    while (true) {
      const [commands, done] = yield* mailbox.takeAll
      yield* handle([...commands]).pipe(
        Effect.catchAllDefect((defect) =>
          Effect.logError(`The flusher of the ${queue} queue goes on after a fault of its own.`, defect),
        ),
      )
      if (done) return
    }
  }).pipe(Effect.interruptible, Effect.forkScoped)
  yield* wake("interval").pipe(
    Effect.schedule(Schedule.spaced(settings.flushInterval)),
    Effect.interruptible,
    Effect.forkScoped,
  )
  yield* flushQueue.length(queue).pipe(
    Effect.flatMap(notifyLength),
    // A Valkey that is away is reported by readiness, and by the flush that needs it.
    Effect.ignore,
    Effect.zipRight(beat),
    Effect.schedule(Schedule.spaced(watchInterval)),
    Effect.interruptible,
    Effect.forkScoped,
  )

  const flush = Effect.gen(function* () {
    const reply = yield* Deferred.make<FlushReport, FlushError>()
    const taken = yield* mailbox.offer({ _tag: "Request", reply })
    if (!taken) return yield* new ShuttingDown()
    return yield* Deferred.await(reply)
  })

  const drain = Effect.gen(function* () {
    const complete = yield* Deferred.make<void>()
    yield* mailbox.offer({ _tag: "Drain", complete })
    const drained = yield* Deferred.await(complete).pipe(
      Effect.timeoutOption(Duration.times(settings.shutdownTimeout, shutdownShares.drain)),
    )
    yield* Fiber.interruptFork(actor)
    yield* mailbox.shutdown
    const remaining = yield* flushQueue
      .length(queue)
      .pipe(Effect.disconnect, Effect.timeout(Duration.seconds(1)), Effect.option)
    const report: DrainReport = {
      ...drainTotals,
      remaining: Option.getOrUndefined(remaining),
      complete: Option.isSome(drained),
    }
    return report
  }).pipe(inOwnFiber, Effect.withSpan("Flusher.drain", { attributes: { queue } }))

  return {
    flush,
    notifyLength,
    problem: Effect.sync(() => problem),
    isAlive: Effect.suspend(() => Effect.map(sinceLastTurn, Duration.lessThanOrEqualTo(longestTurn))),
    drain,
  }
})
