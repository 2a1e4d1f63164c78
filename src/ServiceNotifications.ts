import { Duration, Effect, Layer, Option, Schedule } from "effect"
import { type QueueName, queueNames } from "./domain/Message.ts"
import { ChatCache } from "./services/ChatCache.ts"
import { ServiceManager } from "./services/ServiceManager.ts"
import type { QueueStatus, StatusReport } from "./services/Status.ts"

const statusInterval = Duration.seconds(10)

const describeQueue = (name: QueueName, { length, oldestAgeMs }: QueueStatus): string => {
  const oldest =
    oldestAgeMs === null
      ? ""
      : `, the oldest for ${Duration.format(Duration.seconds(Math.round(oldestAgeMs / 1000)))}`
  return `${name}: ${length ?? "unknown"} queued${oldest}`
}

const describe = ({ status, queues, problems }: StatusReport): string =>
  [status, ...queueNames.map((name) => describeQueue(name, queues[name])), ...problems].join("; ")

/**
 * Tells the service manager that everything is up, every ten seconds how it goes, and that the process is alive for as
 * long as the flush actors are.
 */
export const layer: Layer.Layer<never, never, ChatCache | ServiceManager> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const chatCache = yield* ChatCache
    const manager = yield* ServiceManager
    yield* manager.ready
    yield* Effect.addFinalizer(() => manager.stopping)
    yield* Effect.flatMap(chatCache.status, (report) => manager.status(describe(report))).pipe(
      Effect.repeat(Schedule.spaced(statusInterval)),
      Effect.interruptible,
      Effect.forkScoped,
    )
    if (Option.isNone(manager.watchdogTimeout)) return
    yield* Effect.whenEffect(manager.alive, chatCache.isAlive).pipe(
      // Three times within the timeout: one may come late.
      Effect.repeat(Schedule.spaced(Duration.times(manager.watchdogTimeout.value, 1 / 3))),
      Effect.interruptible,
      Effect.forkScoped,
    )
  }),
)
