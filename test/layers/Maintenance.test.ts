import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger, Ref, TestClock } from "effect"
import { StoreUnavailable } from "../../src/domain/Errors.ts"
import * as InstanceLayer from "../../src/layers/Instance.ts"
import * as Maintenance from "../../src/layers/Maintenance.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import { CacheIdCounter } from "../../src/services/CacheIdCounter.ts"
import { CacheHealth, type Finding, StoreHealth } from "../../src/services/Health.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { RateLimiter } from "../../src/services/RateLimiter.ts"

const evicting: Finding = {
  check: "maxmemory-policy",
  severity: "unsafe",
  reason: "maxmemory-policy is allkeys-lru",
}

/** Maintenance beside servers that are away, but for what their health check finds. */
const maintain = Effect.fnUntraced(function* (allowUnsafe: ReadonlyArray<string> = []) {
  const findings = yield* Ref.make<ReadonlyArray<Finding>>([])
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push(`${logLevel.label} ${String(message)}`)
  })
  const away = new StoreUnavailable({ operation: "test", reason: "away", sqlstate: null })
  yield* Layer.build(
    Maintenance.layer.pipe(
      Layer.provide([
        Layer.mock(CacheIdCounter, { reseed: () => Effect.void, observe: () => true }),
        Layer.mock(RateLimiter, { restore: away }),
        Layer.mock(MessageStore, { transaction: () => away }),
        Layer.mock(StoreHealth, { probe: Effect.void }),
        Layer.succeed(CacheHealth, { findings: Ref.get(findings) }),
        InstanceLayer.layer,
        SettingsConfig.layer({ allowUnsafe }),
      ]),
      Layer.provide(Logger.replace(Logger.defaultLogger, logger)),
    ),
  )
  return { lines, find: (...found: ReadonlyArray<Finding>) => Ref.set(findings, found) }
})

it.scoped("an eviction policy that is switched on later is an error in the log within a minute, once", () =>
  Effect.gen(function* () {
    const { lines, find } = yield* maintain()
    yield* TestClock.adjust("90 seconds")
    assert.deepStrictEqual(lines, [])
    yield* find(evicting)
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(lines, [`ERROR ${evicting.reason}`])
    yield* TestClock.adjust("2 minutes")
    assert.strictEqual(lines.length, 1)
    // Once it was well in between, it is news again.
    yield* find()
    yield* TestClock.adjust("1 minute")
    yield* find(evicting)
    yield* TestClock.adjust("1 minute")
    assert.strictEqual(lines.length, 2)
  }),
)

it.scoped("what is allowed by name is a warning", () =>
  Effect.gen(function* () {
    const { lines, find } = yield* maintain(["maxmemory-policy"])
    yield* find(evicting)
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(lines, [`WARN ${evicting.reason}`])
  }),
)
