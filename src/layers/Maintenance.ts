import { Duration, Effect, Layer, LogLevel, Schedule } from "effect"
import { UnsafeConfiguration } from "../domain/Errors.ts"
import { DaemonStarted } from "../domain/Event.ts"
import { CacheIdCounter } from "../services/CacheIdCounter.ts"
import { CacheHealth, type Finding, StoreHealth } from "../services/Health.ts"
import { Instance } from "../services/Instance.ts"
import { MessageStore } from "../services/MessageStore.ts"
import { RateLimiter } from "../services/RateLimiter.ts"
import { Settings } from "../services/Settings.ts"

/** The servers may be away at start: what needs them is tried until it works. */
const untilItWorks = Schedule.exponential(Duration.millis(100)).pipe(
  Schedule.either(Schedule.spaced(Duration.seconds(5))),
  Schedule.jittered,
)

const make = Effect.gen(function* () {
  const cacheHealth = yield* CacheHealth
  const counter = yield* CacheIdCounter
  const instance = yield* Instance
  const rateLimiter = yield* RateLimiter
  const { allowUnsafe } = yield* Settings
  const store = yield* MessageStore
  const storeHealth = yield* StoreHealth

  const isUnsafe = ({ severity, check }: Finding) => severity === "unsafe" && !allowUnsafe.includes(check)

  const unsafe = (yield* cacheHealth.findings).find(isUnsafe)
  if (unsafe !== undefined) {
    return yield* new UnsafeConfiguration({ check: unsafe.check, reason: unsafe.reason })
  }

  /** Says what has come up since the last time. Each server for itself, so that one that hangs does not hide the other's. */
  const reporting = (ask: Effect.Effect<ReadonlyArray<Finding>>) => {
    let reported = new Set<string>()
    return Effect.gen(function* () {
      const findings = yield* ask
      for (const finding of findings) {
        if (reported.has(finding.check)) continue
        yield* Effect.logWithLevel(isUnsafe(finding) ? LogLevel.Error : LogLevel.Warning, finding.reason)
      }
      reported = new Set(findings.map(({ check }) => check))
    })
  }
  const reports = [
    reporting(cacheHealth.findings),
    reporting(Effect.zipRight(storeHealth.probe, storeHealth.findings)),
  ]

  // The limit comes first: once the counters are there, messages are taken.
  const start = Effect.gen(function* () {
    yield* rateLimiter.restore
    yield* counter.reseed("public")
    yield* counter.reseed("private")
  })

  const journalStart = store.transaction((transaction) =>
    transaction.journal([new DaemonStarted({ instance_id: instance.id, version: instance.version })]),
  )

  const inBackground = <A, E>(effect: Effect.Effect<A, E>) =>
    effect.pipe(Effect.interruptible, Effect.forkScoped)

  yield* inBackground(start.pipe(Effect.retry(untilItWorks)))
  yield* inBackground(journalStart.pipe(Effect.retry(untilItWorks)))
  for (const report of reports) {
    yield* inBackground(Effect.repeat(report, Schedule.spaced(Duration.minutes(1))))
  }
  // Valkey may lose the settings without losing its counters.
  yield* inBackground(Effect.repeat(Effect.ignore(rateLimiter.restore), Schedule.spaced(Duration.minutes(1))))
  yield* inBackground(Effect.repeat(storeHealth.probe, Schedule.spaced(Duration.seconds(2))))
})

/** What has to be done at start and from time to time, and refuses to start where messages could be lost. */
export const layer: Layer.Layer<
  never,
  UnsafeConfiguration,
  CacheHealth | CacheIdCounter | Instance | MessageStore | RateLimiter | Settings | StoreHealth
> = Layer.scopedDiscard(make)
