import { Cause, Duration, Effect, Either, Exit, identity, Layer, Option, Runtime, Struct } from "effect"
import { CacheUnavailable, InvalidMessage, QueueFull, RateLimited, ShuttingDown } from "../domain/Errors.ts"
import { type Accepted, PrivateMessageDraft, PublicMessageDraft, type QueueName } from "../domain/Message.ts"
import { privatePayload, publicPayload } from "../domain/Payload.ts"
import { plainPrivateDraft, plainPublicDraft } from "../domain/PlainDraft.ts"
import { decodeWithProblems, type Problem } from "../domain/Validation.ts"
import { CacheIdCounter } from "../services/CacheIdCounter.ts"
import { Flusher } from "../services/Flusher.ts"
import {
  type AppendOutcome,
  type AppendReply,
  MessageCache,
  type Publication,
} from "../services/MessageCache.ts"
import { Publisher, type PublishError } from "../services/Publisher.ts"
import { RateLimiter } from "../services/RateLimiter.ts"
import { Settings } from "../services/Settings.ts"
import { GroupCommit, type GroupCommitItem, type GroupCommitLimits } from "./GroupCommit.ts"
import { nextMessageId } from "./MessageIds.ts"
import * as Metrics from "./Metrics.ts"
import * as Tracing from "./Tracing.ts"

type Outcome = Either.Either<Accepted, PublishError>

/** Publishers wait for this, so a PostgreSQL that hangs must not hold them for the whole deadline of the store. */
const restoreDeadline = Duration.seconds(3)

/** A message on its way: what goes to Valkey, and whom the answer is for. */
interface Item extends Publication, GroupCommitItem {
  /** By the clock of `performance.now`. */
  readonly takenAt: number
  readonly messageId: string
  readonly authoredAt: string
  readonly settle: (outcome: Outcome) => void
}

/** A batch is kept short enough that the script never holds the server for more than a few milliseconds. */
const limits: GroupCommitLimits = {
  batchesUnderWay: 4,
  batchItems: 128,
  batchSize: 1024 * 1024,
  waitingItems: 20_000,
  waitingSize: 32 * 1024 * 1024,
}

let lastMillis = 0
let lastTimestamp = ""

/** Many messages are made in the same millisecond, and writing the time out is not cheap. */
const timestampNow = (): string => {
  const millis = Date.now()
  if (millis !== lastMillis) {
    lastMillis = millis
    lastTimestamp = new Date(millis).toISOString()
  }
  return lastTimestamp
}

/** Fills in what the publisher left out, so that every retry carries the same `message_id`. */
const publicItem = (
  {
    message_id = nextMessageId(),
    owner_id,
    username,
    channel,
    message,
    authored_at = timestampNow(),
  }: PublicMessageDraft,
  settle: Item["settle"],
): Item => {
  const payload = publicPayload({ message_id, owner_id, username, channel, message, authored_at })
  return {
    payload,
    ownerId: owner_id,
    channel,
    size: payload.length,
    messageId: message_id,
    authoredAt: authored_at,
    takenAt: performance.now(),
    settle,
  }
}

const privateItem = (
  {
    message_id = nextMessageId(),
    owner_id,
    username,
    recipient_id,
    recipient,
    message,
    authored_at = timestampNow(),
  }: PrivateMessageDraft,
  settle: Item["settle"],
): Item => {
  const payload = privatePayload({
    message_id,
    owner_id,
    username,
    recipient_id,
    recipient,
    message,
    authored_at,
  })
  return {
    payload,
    ownerId: owner_id,
    recipientId: recipient_id,
    size: payload.length,
    messageId: message_id,
    authoredAt: authored_at,
    takenAt: performance.now(),
    settle,
  }
}

type Prepare = (draft: unknown, settle: Item["settle"]) => Item | InvalidMessage

const preparation =
  <Draft>(
    plain: (input: unknown) => Draft | undefined,
    decode: (input: unknown) => Either.Either<Draft, ReadonlyArray<Problem>>,
    itemOf: (draft: Draft, settle: Item["settle"]) => Item,
  ): Prepare =>
  (input, settle) => {
    let draft: Draft | undefined
    try {
      draft = plain(input)
    } catch {
      // What throws when it is read is refused by the schema, and its neighbours are taken.
    }
    if (draft !== undefined) return itemOf(draft, settle)
    const decoded = decode(input)
    return Either.isLeft(decoded)
      ? new InvalidMessage({ problems: decoded.left })
      : itemOf(decoded.right, settle)
  }

const prepare: Record<QueueName, Prepare> = {
  public: preparation(plainPublicDraft, decodeWithProblems(PublicMessageDraft), publicItem),
  private: preparation(plainPrivateDraft, decodeWithProblems(PrivateMessageDraft), privateItem),
}

/** The first and the last id, by which a trace is found from the flush of its messages, which knows the same ids. */
const annotateCacheIds = ({ outcomes }: AppendReply) => {
  const given = outcomes.flatMap((outcome) => (outcome._tag === "Appended" ? [outcome.cacheId] : []))
  return given.length === 0
    ? Effect.void
    : Effect.annotateCurrentSpan({ first_cache_id: given[0], last_cache_id: given.at(-1) })
}

/** A span that nobody exports would still be the most expensive part of a batch: its messages live on with it. */
const tracedBatch = Effect.map(Tracing.isExported, (isExported) =>
  isExported
    ? (queue: QueueName, publications: ReadonlyArray<Publication>) =>
        <E>(append: Effect.Effect<AppendReply, E>) =>
          append.pipe(
            Effect.tap(annotateCacheIds),
            Effect.withSpan("Publisher.append", { attributes: { queue, messages: publications.length } }),
          )
    : () => identity,
)

/**
 * Whoever sends too fast must not cost more than those who do not: where in this file the refusal was made tells nobody
 * anything, and to note it costs several times as much as all the rest of a message.
 */
const rateLimited = (retryAfterMs: number): RateLimited => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return new RateLimited({ retry_after_ms: retryAfterMs }, { disableValidation: true })
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

const reasons = {
  Limited: "RateLimited",
  Full: "QueueFull",
  Refused: "CacheUnavailable",
} as const

/** By batch and not by message, because every message would pay for it. */
const count = (
  queue: QueueName,
  batch: ReadonlyArray<Item>,
  outcomes: ReadonlyArray<AppendOutcome>,
): void => {
  const counted = { Appended: 0, Limited: 0, Full: 0, Refused: 0 }
  for (const { _tag } of outcomes) counted[_tag]++
  const { Appended: published, ...refused } = counted
  Metrics.published[queue].unsafeUpdate(published, [])
  for (const tag of Struct.keys(refused)) {
    if (refused[tag] > 0) Metrics.refused[queue][reasons[tag]].unsafeUpdate(refused[tag], [])
  }
  Metrics.publishBatchMessages[queue].unsafeUpdate(batch.length, [])
  const [oldest] = batch
  if (oldest !== undefined) {
    Metrics.publishSeconds[queue].unsafeUpdate((performance.now() - oldest.takenAt) / 1000, [])
  }
}

const make = Effect.gen(function* () {
  const cache = yield* MessageCache
  const counter = yield* CacheIdCounter
  const flusher = yield* Flusher
  const rateLimiter = yield* RateLimiter
  const { maxQueueLength } = yield* Settings
  const traced = yield* tracedBatch
  const runFork = Runtime.runFork(yield* Effect.runtime())
  let open = true

  /**
   * A missing counter means that Valkey has lost its data, and the rate limit in force with it. The limit comes first:
   * once the counter is there, messages are taken again, also by other processes.
   */
  const recover = (queue: QueueName) =>
    rateLimiter.restore.pipe(
      Effect.disconnect,
      Effect.timeout(restoreDeadline),
      Effect.catchAll((error) => Effect.logWarning(`The rate limit is not restored yet: ${error.message}`)),
      Effect.zipRight(counter.reseed(queue)),
    )

  const append = (queue: QueueName, publications: ReadonlyArray<Publication>) => {
    const attempt = cache.append(queue, publications)
    return attempt.pipe(
      Effect.catchTag("CounterMissing", () =>
        Effect.zipRight(recover(queue), attempt).pipe(
          Effect.catchTag("CounterMissing", (error) =>
            Effect.fail(
              new CacheUnavailable({ operation: "publish", execution: "refused", reason: error.message }),
            ),
          ),
        ),
      ),
      traced(queue, publications),
    )
  }

  const full: Record<QueueName, Outcome> = {
    public: Either.left(new QueueFull({ queue: "public", maximum: maxQueueLength })),
    private: Either.left(new QueueFull({ queue: "private", maximum: maxQueueLength })),
  }

  const outcomeOf = (queue: QueueName, item: Item, outcome: AppendOutcome): Outcome => {
    switch (outcome._tag) {
      case "Appended":
        return Either.right({
          cache_id: outcome.cacheId,
          message_id: item.messageId,
          authored_at: item.authoredAt,
        })
      case "Limited":
        return Either.left(rateLimited(outcome.retryAfterMs))
      case "Full":
        return full[queue]
      case "Refused":
        return Either.left(
          new CacheUnavailable({ operation: "publish", execution: "refused", reason: outcome.reason }),
        )
    }
  }

  /** Without waiting for the flush that would see it: after a failover, new ids may have passed the old ones by then. */
  const raiseCounter = (queue: QueueName) =>
    counter
      .reseed(queue)
      .pipe(
        Effect.catchAll((error) =>
          Effect.logWarning(
            `The id counter of the ${queue} queue has gone back and is not raised yet: ${error.message}`,
          ),
        ),
      )

  const distribute = (queue: QueueName, batch: ReadonlyArray<Item>, reply: AppendReply): void => {
    let first = 0
    let last = 0
    for (let index = 0; index < batch.length; index++) {
      const item = batch[index]!
      const outcome = reply.outcomes[index]!
      if (outcome._tag === "Appended") {
        last = outcome.cacheId
        if (first === 0) first = last
      }
      item.settle(outcomeOf(queue, item, outcome))
    }
    count(queue, batch, reply.outcomes)
    if (last > 0 && !counter.observe(queue, first, last)) runFork(raiseCounter(queue))
    runFork(flusher.notifyLength(queue, reply.queueLength))
  }

  const giveUp = (
    queue: QueueName,
    batch: ReadonlyArray<Item>,
    cause: Cause.Cause<CacheUnavailable>,
  ): void => {
    const error = Option.getOrElse(Cause.failureOption(cause), () => {
      runFork(Effect.logError("A publish call ended unexpectedly.", cause))
      return new CacheUnavailable({
        operation: "publish",
        execution: "unknown",
        reason: "the call broke off",
      })
    })
    Metrics.refused[queue].CacheUnavailable.unsafeUpdate(batch.length, [])
    for (const item of batch) {
      item.settle(
        Either.left(
          error.execution === "unknown"
            ? new CacheUnavailable({ ...error, message_id: item.messageId })
            : error,
        ),
      )
    }
  }

  const groupCommit = (queue: QueueName) =>
    new GroupCommit<Item>((batch, done) => {
      const fiber = runFork(append(queue, batch))
      fiber.addObserver((exit) => {
        if (Exit.isSuccess(exit)) distribute(queue, batch, exit.value)
        else giveUp(queue, batch, exit.cause)
        done()
      })
    }, limits)

  const queues: Record<QueueName, GroupCommit<Item>> = {
    public: groupCommit("public"),
    private: groupCommit("private"),
  }

  const submit = (queue: QueueName, draft: unknown, settle: (outcome: Outcome) => void): void => {
    const refuse = (error: PublishError): void => {
      Metrics.refused[queue][error._tag].unsafeUpdate(1, [])
      settle(Either.left(error))
    }
    if (!open) return refuse(new ShuttingDown())
    const item = prepare[queue](draft, settle)
    if (item instanceof InvalidMessage) return refuse(item)
    if (!queues[queue].add(item)) refuse(new QueueFull({ queue, maximum: limits.waitingItems }))
  }

  const publish = (queue: QueueName, draft: unknown): Effect.Effect<Accepted, PublishError> =>
    Effect.async((resume) => submit(queue, draft, resume))

  const publishAll = (
    queue: QueueName,
    drafts: ReadonlyArray<unknown>,
  ): Effect.Effect<ReadonlyArray<Outcome>> =>
    Effect.async((resume) => {
      const outcomes: Array<Outcome> = Array.from({ length: drafts.length })
      let missing = drafts.length
      if (missing === 0) resume(Effect.succeed(outcomes))
      drafts.forEach((draft, index) =>
        submit(queue, draft, (outcome) => {
          outcomes[index] = outcome
          missing--
          if (missing === 0) resume(Effect.succeed(outcomes))
        }),
      )
    })

  const close = Effect.async<void>((resume) => {
    open = false
    queues.public.onIdle(() => queues.private.onIdle(() => resume(Effect.void)))
  }).pipe(Effect.withSpan("Publisher.close"))

  return Publisher.of({
    publish,
    publishAll,
    load: Effect.sync(() => ({ pending: queues.public.pending + queues.private.pending, open })),
    close,
  })
})

export const layer: Layer.Layer<
  Publisher,
  never,
  MessageCache | CacheIdCounter | Flusher | RateLimiter | Settings
> = Layer.effect(Publisher, make)
