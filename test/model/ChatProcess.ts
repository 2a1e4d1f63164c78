/** One process of chat-cache over the servers, that can be stopped, disturbed and killed at every step of a flush. */
import { Context, Deferred, Effect, type Exit, Fiber, Layer, type Scope } from "effect"
import type { Entry } from "../../src/domain/Entry.ts"
import {
  CacheUnavailable,
  RowsRefused,
  type StoreError,
  StoreMisconfigured,
  StoreUnavailable,
} from "../../src/domain/Errors.ts"
import type { QueueName } from "../../src/domain/Message.ts"
import * as CacheIdCounterLayer from "../../src/layers/CacheIdCounter.ts"
import * as DeletionLayer from "../../src/layers/Deletion.ts"
import * as FlushBatch from "../../src/layers/flushBatch.ts"
import * as JournalStateLayer from "../../src/layers/JournalState.ts"
import * as PublisherLayer from "../../src/layers/Publisher.ts"
import * as QuarantineLayer from "../../src/layers/Quarantine.ts"
import * as RateLimiterLayer from "../../src/layers/RateLimiter.ts"
import { CacheIdCounter } from "../../src/services/CacheIdCounter.ts"
import { Deletion } from "../../src/services/Deletion.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { Flusher, type FlushError } from "../../src/services/Flusher.ts"
import { FlushQueue, type ReadLimit } from "../../src/services/FlushQueue.ts"
import { type AppendReply, MessageCache, type Publication } from "../../src/services/MessageCache.ts"
import { MessageStore, type StoreTransaction } from "../../src/services/MessageStore.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Quarantine } from "../../src/services/Quarantine.ts"
import { RateLimiter } from "../../src/services/RateLimiter.ts"
import type { Settings } from "../../src/services/Settings.ts"
import { settingsLayer } from "../contracts/CacheBackend.ts"
import type { Ports, Servers } from "./Servers.ts"

/** Where a flush can be stopped: before its transaction, in it, and after it. */
export const flushSteps = ["begin", "read", "inserted", "commit", "committed", "acknowledged"] as const
export type FlushStep = (typeof flushSteps)[number]

/** The locks of a flush that stands here are held. */
export const isWithinTransaction = (step: FlushStep): boolean =>
  step === "read" || step === "inserted" || step === "commit"

export const storeFaults = [
  "refused",
  "misconfigured",
  "read-only",
  "insert timed out",
  "commit failed",
  "reply lost",
] as const
export type StoreFault = (typeof storeFaults)[number]

/** What becomes of one call to Valkey: not executed and known, not executed and unknown, executed and unknown. */
export const callFaults = ["refused", "request lost", "reply lost"] as const
export type CallFault = (typeof callFaults)[number]

/** What is wrong with the servers, for all processes. */
export interface Disturbances {
  store: StoreFault | undefined
  /** As by a check constraint: messages that begin with `refused` are refused. */
  constraint: boolean
  /** Of the next call only. */
  append: CallFault | undefined
  remove: CallFault | undefined
  acknowledge: CallFault | undefined
}

export interface Committed {
  readonly queue: QueueName
  readonly entries: ReadonlyArray<Entry>
}

export interface Appended {
  readonly publications: ReadonlyArray<Publication>
  readonly reply: AppendReply
}

/** What really happened at the servers, whatever the process was told. */
export interface Witness {
  readonly appended: Array<Appended>
  readonly committed: Array<Committed>
}

const storeErrors: Record<StoreFault, StoreError> = {
  refused: new StoreUnavailable({ operation: "test", reason: "connect ECONNREFUSED", sqlstate: null }),
  misconfigured: new StoreMisconfigured({
    operation: "test",
    reason: 'relation "chat_messages" does not exist',
    sqlstate: "42P01",
  }),
  "read-only": new StoreUnavailable({
    operation: "test",
    reason: "cannot execute INSERT in a read-only transaction",
    sqlstate: "25006",
  }),
  "insert timed out": new StoreUnavailable({
    operation: "test",
    reason: "canceling statement due to statement timeout",
    sqlstate: "57014",
  }),
  "commit failed": new StoreUnavailable({
    operation: "test",
    reason: "Connection terminated unexpectedly",
    sqlstate: null,
  }),
  "reply lost": new StoreUnavailable({
    operation: "test",
    reason: "Connection terminated unexpectedly",
    sqlstate: null,
  }),
}

const disturbedTransaction = (
  transaction: StoreTransaction,
  disturbances: Disturbances,
): StoreTransaction => {
  const unlessReadOnly = <A, E>(write: Effect.Effect<A, E>): Effect.Effect<A, E | StoreError> =>
    Effect.suspend((): Effect.Effect<A, E | StoreError> =>
      disturbances.store === "read-only" ? Effect.fail(storeErrors["read-only"]) : write,
    )
  return {
    ...transaction,
    insert: (queue, messages) => {
      if (disturbances.store === "insert timed out") return Effect.fail(storeErrors["insert timed out"])
      const inserting = unlessReadOnly(transaction.insert(queue, messages))
      const isBad = messages.some(({ message }) => message.startsWith("refused"))
      if (!disturbances.constraint || !isBad) return inserting
      return Effect.flatMap(transaction.storedTwins(queue, messages, false), ([twin]) =>
        // What the constraint came too late for is passed over, once it stands alone.
        messages.length === 1 && twin === messages[0]!.message_id
          ? inserting
          : new RowsRefused({ reason: "a check constraint is violated", sqlstate: "23514" }),
      )
    },
    deleteMessage: (queue, messageId) => unlessReadOnly(transaction.deleteMessage(queue, messageId)),
    quarantine: (queue, entries) => unlessReadOnly(transaction.quarantine(queue, entries)),
    resolveQuarantineEntry: (id, status) => unlessReadOnly(transaction.resolveQuarantineEntry(id, status)),
    journal: (events) => unlessReadOnly(transaction.journal(events)),
  }
}

const disturbedStore = (
  store: typeof MessageStore.Service,
  disturbances: Disturbances,
): typeof MessageStore.Service => {
  const unlessAway = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | StoreError> =>
    Effect.suspend((): Effect.Effect<A, E | StoreError> => {
      const fault = disturbances.store
      return fault === "refused" || fault === "misconfigured" ? Effect.fail(storeErrors[fault]) : effect
    })
  return MessageStore.of({
    transaction: (body) =>
      unlessAway(
        Effect.suspend(() =>
          store.transaction((transaction) =>
            body(disturbedTransaction(transaction, disturbances)).pipe(
              Effect.tap(() =>
                disturbances.store === "commit failed" ? storeErrors["commit failed"] : Effect.void,
              ),
            ),
          ),
        ).pipe(
          Effect.tap(() => (disturbances.store === "reply lost" ? storeErrors["reply lost"] : Effect.void)),
        ),
      ),
    prepareInsert: store.prepareInsert,
    greatestCacheId: (queue) => unlessAway(store.greatestCacheId(queue)),
    history: (...range) => unlessAway(store.history(...range)),
    quarantineEntries: (filter) => unlessAway(store.quarantineEntries(filter)),
    quarantineEntry: (id) => unlessAway(store.quarantineEntry(id)),
  })
}

/** @param execute what the server does with the call */
const call = <A, E>(
  operation: string,
  fault: CallFault | undefined,
  execute: Effect.Effect<A, E>,
): Effect.Effect<A, E | CacheUnavailable> => {
  if (fault === undefined) return execute
  const error = new CacheUnavailable({
    operation,
    execution: fault === "refused" ? "refused" : "unknown",
    reason: fault,
  })
  return fault === "reply lost" ? Effect.zipRight(execute, error) : error
}

const disturbedCache = (
  cache: typeof MessageCache.Service,
  disturbances: Disturbances,
  witness: Witness,
): typeof MessageCache.Service =>
  MessageCache.of({
    ...cache,
    append: (queue, publications) =>
      Effect.suspend(() => {
        const fault = disturbances.append
        const execute = Effect.tap(cache.append(queue, publications), (reply) =>
          Effect.sync(() => witness.appended.push({ publications, reply })),
        )
        return call("publish", fault, execute)
      }),
    remove: (queue, messageId, userIds) =>
      Effect.suspend(() =>
        call("remove message", disturbances.remove, cache.remove(queue, messageId, userIds)),
      ),
  })

/** Every flush is made by a command of the model, so that nothing happens by itself. */
const noFlusher = Layer.succeed(
  Flusher,
  Flusher.of({
    flush: () => Effect.dieMessage("the model flushes batch by batch"),
    notifyLength: () => Effect.void,
    problem: () => Effect.as(Effect.void, undefined),
    isAlive: Effect.succeed(true),
    drain: Effect.dieMessage("the model flushes batch by batch"),
  }),
)

type FlushExit = Exit.Exit<FlushBatch.BatchResult, FlushError>

/** A flush that has begun, and the step that it stands at. */
interface FlushUnderWay {
  readonly fiber: Fiber.RuntimeFiber<FlushBatch.BatchResult, FlushError>
  readonly queue: QueueName
  stopAt: FlushStep | undefined
  stopped: Deferred.Deferred<FlushStep>
  goOn: Deferred.Deferred<void>
}

export type FlushProgress =
  | { readonly _tag: "Stopped"; readonly step: FlushStep }
  | { readonly _tag: "Ended"; readonly exit: FlushExit }

export interface ChatProcess {
  readonly publisher: typeof Publisher.Service
  readonly deletion: typeof Deletion.Service
  readonly quarantine: typeof Quarantine.Service
  readonly rateLimiter: typeof RateLimiter.Service
  /** What a process does at its start, and tries again until it works. */
  readonly recover: Effect.Effect<void>
  readonly startFlush: (
    queue: QueueName,
    limit: ReadLimit,
    stopAt: FlushStep | undefined,
  ) => Effect.Effect<FlushProgress>
  readonly continueFlush: (stopAt: FlushStep | undefined) => Effect.Effect<FlushProgress>
  /** The entries that its flush has read, if one is under way. */
  readonly held: () => ReadonlyArray<Entry>
  /** The process dies in the middle of its flush. Without one, nothing happens. */
  readonly killFlush: Effect.Effect<void>
}

/** The ports of a flusher that stops where it is told to. */
const stepwise = (
  ports: Context.Context<MessageStore | FlushQueue>,
  pass: (step: FlushStep) => Effect.Effect<void>,
  options: { readonly disturbances: Disturbances; readonly witness: Witness; readonly takesLock: boolean },
) => {
  const store = Context.get(ports, MessageStore)
  const queue = Context.get(ports, FlushQueue)
  const { disturbances, witness } = options
  let read: Committed | undefined
  const held = () => read?.entries ?? []

  const stepwiseStore = MessageStore.of({
    ...store,
    transaction: (body) =>
      Effect.sync(() => (read = undefined)).pipe(
        Effect.zipRight(pass("begin")),
        Effect.zipRight(
          store.transaction((transaction) =>
            body({
              ...transaction,
              lockQueue: options.takesLock ? transaction.lockQueue : store.greatestCacheId,
              insert: (name, messages) =>
                Effect.tap(transaction.insert(name, messages), () => pass("inserted")),
            }).pipe(Effect.zipLeft(pass("commit"))),
          ),
        ),
        Effect.tap(() =>
          Effect.sync(() => {
            if (read !== undefined) witness.committed.push(read)
          }),
        ),
        Effect.zipLeft(pass("committed")),
      ),
  })
  const stepwiseQueue = FlushQueue.of({
    ...queue,
    head: (name, limit, expected) =>
      queue.head(name, limit, expected).pipe(
        Effect.tap((entries) =>
          Effect.sync(() => {
            read = { queue: name, entries }
          }),
        ),
        Effect.zipLeft(pass("read")),
      ),
    acknowledge: (name, entries) =>
      Effect.suspend(() => {
        const fault = disturbances.acknowledge
        disturbances.acknowledge = undefined
        return call("acknowledge", fault, queue.acknowledge(name, entries))
      }).pipe(Effect.zipLeft(pass("acknowledged"))),
  })
  const stepwisePorts = Context.make(MessageStore, stepwiseStore).pipe(Context.add(FlushQueue, stepwiseQueue))
  return { stepwisePorts, held }
}

const makeFlushes = (
  flushBatch: (queue: QueueName, limit: ReadLimit) => Effect.Effect<FlushBatch.BatchResult, FlushError>,
  current: { underWay: FlushUnderWay | undefined },
) => {
  const progress = (flush: FlushUnderWay): Effect.Effect<FlushProgress> =>
    Effect.raceFirst(
      Effect.map(Deferred.await(flush.stopped), (step) => ({ _tag: "Stopped", step }) as const),
      Effect.map(Fiber.await(flush.fiber), (exit) => {
        current.underWay = undefined
        return { _tag: "Ended", exit } as const
      }),
    )

  const startFlush: ChatProcess["startFlush"] = (queue, limit, stopAt) =>
    Effect.gen(function* () {
      const stopped = yield* Deferred.make<FlushStep>()
      const goOn = yield* Deferred.make<void>()
      const begin = yield* Deferred.make<void>()
      const fiber = yield* Deferred.await(begin).pipe(
        Effect.zipRight(flushBatch(queue, limit)),
        Effect.forkDaemon,
      )
      const flush: FlushUnderWay = { fiber, queue, stopAt, stopped, goOn }
      current.underWay = flush
      yield* Deferred.succeed(begin, undefined)
      return yield* progress(flush)
    })

  const continueFlush: ChatProcess["continueFlush"] = (stopAt) =>
    Effect.gen(function* () {
      const flush = current.underWay!
      const { goOn } = flush
      flush.stopAt = stopAt
      flush.stopped = yield* Deferred.make<FlushStep>()
      flush.goOn = yield* Deferred.make<void>()
      yield* Deferred.succeed(goOn, undefined)
      return yield* progress(flush)
    })

  const killFlush = Effect.suspend(() => {
    const flush = current.underWay
    current.underWay = undefined
    return flush === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(flush.fiber))
  })
  return { startFlush, continueFlush, killFlush }
}

const disturbedPorts = (
  ports: Context.Context<Ports>,
  disturbances: Disturbances,
  witness: Witness,
): Context.Context<Ports> => {
  const journal = Context.get(ports, EventJournal)
  const read: typeof journal.read = (after, limit) =>
    Effect.suspend(() => {
      const fault = disturbances.store
      return fault === "refused" || fault === "misconfigured"
        ? Effect.fail(storeErrors[fault])
        : journal.read(after, limit)
    })
  return ports.pipe(
    Context.add(MessageStore, disturbedStore(Context.get(ports, MessageStore), disturbances)),
    Context.add(MessageCache, disturbedCache(Context.get(ports, MessageCache), disturbances, witness)),
    Context.add(EventJournal, EventJournal.of({ read })),
  )
}

const services = (settings: Partial<Settings["Type"]>) =>
  Layer.mergeAll(DeletionLayer.layer, PublisherLayer.layer, QuarantineLayer.layer).pipe(
    Layer.provideMerge(RateLimiterLayer.layer),
    Layer.provideMerge(Layer.merge(CacheIdCounterLayer.layer, JournalStateLayer.layer)),
    Layer.provide(noFlusher),
    Layer.provide(settingsLayer(settings)),
  )

/** @param takesLock without it, its flushes ignore the advisory lock of the queue, which no safety may rest on */
export const make = (options: {
  readonly servers: Servers
  readonly settings: Partial<Settings["Type"]>
  readonly disturbances: Disturbances
  readonly witness: Witness
  readonly takesLock: boolean
}): Effect.Effect<ChatProcess, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ports = disturbedPorts(options.servers.ports, options.disturbances, options.witness)
    const context = yield* Layer.build(services(options.settings)).pipe(Effect.provide(ports))
    const current: { underWay: FlushUnderWay | undefined } = { underWay: undefined }
    const pass = (step: FlushStep) =>
      Effect.suspend(() => {
        const flush = current.underWay
        if (flush?.stopAt !== step) return Effect.void
        return Effect.zipRight(Deferred.succeed(flush.stopped, step), Deferred.await(flush.goOn))
      })
    const counter = Context.get(context, CacheIdCounter)
    const rateLimiter = Context.get(context, RateLimiter)
    const { stepwisePorts, held } = stepwise(ports, pass, options)
    const flushBatch = yield* FlushBatch.make.pipe(
      Effect.provide(stepwisePorts),
      Effect.provideService(CacheIdCounter, counter),
      Effect.provideService(MessageCache, Context.get(ports, MessageCache)),
    )
    const flushes = makeFlushes((queue, limit) => flushBatch(queue, "request", limit), current)
    yield* Effect.addFinalizer(() => flushes.killFlush)
    return {
      publisher: Context.get(context, Publisher),
      deletion: Context.get(context, Deletion),
      quarantine: Context.get(context, Quarantine),
      rateLimiter,
      recover: Effect.ignore(rateLimiter.restore).pipe(
        Effect.zipRight(Effect.ignore(counter.reseed("public"))),
        Effect.zipRight(Effect.ignore(counter.reseed("private"))),
      ),
      held: () => (current.underWay === undefined ? [] : held()),
      ...flushes,
    }
  })
