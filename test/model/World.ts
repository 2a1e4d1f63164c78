/** Two processes over the servers, and the books that are kept of them. */
import { type Clock, Effect, Exit, Scope } from "effect"
import {
  type PrivateMessageDraft,
  type PublicMessageDraft,
  type QueueName,
  queueNames,
} from "../../src/domain/Message.ts"
import type { RateLimitSettings } from "../../src/domain/RateLimit.ts"
import type { Settings } from "../../src/services/Settings.ts"
import * as Books from "./Books.ts"
import * as ChatProcess from "./ChatProcess.ts"
import type { Backend, Servers } from "./Servers.ts"

export type ProcessIndex = 0 | 1

/** Small enough that a few commands reach every limit. */
export const settings = {
  maxCacheSize: 5,
  maxQueueLength: 14,
  rateLimit: { message_limit: 8, window_seconds: 1000 } as RateLimitSettings,
} satisfies Partial<Settings["Type"]>

export interface Draft {
  readonly queue: QueueName
  readonly draft: PublicMessageDraft | PrivateMessageDraft
}

/** An older copy of what Valkey held. */
interface Copy {
  readonly restore: Effect.Effect<void>
  readonly queues: Books.Findings["queues"]
  readonly cache: Books.ExpectedCache
}

interface Running {
  readonly process: ChatProcess.ChatProcess
  readonly scope: Scope.CloseableScope
}

export interface World {
  readonly servers: Servers
  readonly disturbances: ChatProcess.Disturbances
  readonly witness: ChatProcess.Witness
  readonly processes: [Running, Running]
  /** Where the flush of each process stands. */
  readonly stopped: [Stopped | undefined, Stopped | undefined]
  readonly books: Books.Books
  readonly look: Books.Observer["look"]
  readonly fold: Books.Observer["fold"]
  readonly sent: Array<Draft>
  /** Milliseconds that have passed for the rate limit. */
  now: number
  /** Messages and entries so far, by which no two are alike. */
  number: number
  copy: Copy | undefined
  /** How often Valkey has lost or changed something behind the back of a flush. */
  disruptions: number
  /**
   * How often PostgreSQL has become read-only. Whoever finds that out gives up all connections of the process, because the
   * primary is elsewhere now: a flush that stands still loses its own.
   */
  readOnlySpells: number
}

export interface Stopped {
  readonly step: ChatProcess.FlushStep
  readonly queue: QueueName
  readonly disruptions: number
  readonly readOnlySpells: number
}

const startProcess = (
  parts: Pick<World, "servers" | "disturbances" | "witness">,
  index: ProcessIndex,
): Effect.Effect<Running> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const process = yield* Scope.extend(
      ChatProcess.make({ ...parts, settings, takesLock: index === 0 }),
      scope,
    )
    return { process, scope }
  })

/** Puts the newest limit of the journal in force, unless it is. */
export const restoreLimit = (world: World): void => {
  const { cache, limitJournalled } = world.books
  if (limitJournalled === undefined) return
  if (cache.limitInForce !== undefined && cache.limitInForce.change >= limitJournalled.change) return
  cache.limitInForce = limitJournalled
  const windowEnd = world.now + limitJournalled.settings.window_seconds * 1000
  cache.limiters = Object.fromEntries(
    Object.entries(cache.limiters).map(([userId, limiter]) => [
      userId,
      { ...limiter, endsAt: Math.min(limiter.endsAt, windowEnd) },
    ]),
  )
}

/** The process is killed, and another one started in its place. */
export const restart = (world: World, index: ProcessIndex): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { books } = world
    const flush = world.stopped[index]
    if (flush !== undefined) books.counterTrusted[flush.queue] = false
    yield* Scope.close(world.processes[index].scope, Exit.void)
    world.stopped[index] = undefined
    // A counter that is missing is raised at the start, and too little while PostgreSQL does not answer.
    for (const queue of queueNames) {
      const isMissing = books.findings.counters[queue] === undefined
      if (isMissing && !isReadable(world)) books.counterTrusted[queue] = false
    }
    world.processes[index] = yield* startProcess(world, index)
    yield* world.processes[index].process.recover
    if (isReadable(world)) restoreLimit(world)
  })

export const make = <R>(backend: Backend<R>): Effect.Effect<World, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const servers = yield* backend.servers(settings)
    const disturbances: ChatProcess.Disturbances = {
      store: undefined,
      constraint: false,
      append: undefined,
      remove: undefined,
      acknowledge: undefined,
    }
    const parts = { servers, disturbances, witness: { appended: [], committed: [] } }
    const { look, fold } = yield* Books.observer(servers)
    const running = (index: ProcessIndex) => Effect.withClock(startProcess(parts, index), servers.clock)
    const processes: World["processes"] = [yield* running(0), yield* running(1)]
    yield* Effect.addFinalizer(() => Effect.forEach(processes, ({ scope }) => Scope.close(scope, Exit.void)))
    return {
      ...parts,
      processes,
      stopped: [undefined, undefined],
      books: Books.open(yield* look),
      look,
      fold,
      sent: [],
      now: 0,
      number: 0,
      copy: undefined,
      disruptions: 0,
      readOnlySpells: 0,
    }
  })

export const clockOf = ({ servers }: World): Clock.Clock => servers.clock

/** Whether somebody else's locks or a fault may make an operation on PostgreSQL fail. */
export const isDisturbed = ({ disturbances, stopped }: World): boolean =>
  disturbances.store !== undefined ||
  stopped.some((flush) => flush !== undefined && ChatProcess.isWithinTransaction(flush.step))

/** Whether PostgreSQL answers reads. */
export const isReadable = ({ disturbances }: World): boolean =>
  disturbances.store !== "refused" && disturbances.store !== "misconfigured"

export const checkBooks = (world: World): Effect.Effect<void> =>
  Effect.map(world.look, (findings) =>
    Books.check(
      world.books,
      findings,
      world.processes.flatMap(({ process }) => process.held().map(Books.bytesOf)),
    ),
  )
