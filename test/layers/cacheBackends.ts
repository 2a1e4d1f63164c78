/** The implementations that the contract suites of the cache run on. */
import { Context, Duration, Effect, Layer, TestClock } from "effect"
import * as CacheMemory from "../../src/layers/CacheMemory.ts"
import * as FlushQueueValkey from "../../src/layers/FlushQueueValkey.ts"
import * as MessageCacheValkey from "../../src/layers/MessageCacheValkey.ts"
import * as RateLimitStoreValkey from "../../src/layers/RateLimitStoreValkey.ts"
import { scanPages } from "../../src/layers/valkey/scanPages.ts"
import * as ValkeyLayer from "../../src/layers/valkey/Valkey.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { RateLimitStore } from "../../src/services/RateLimitStore.ts"
import { Settings } from "../../src/services/Settings.ts"
import { Valkey } from "../../src/services/Valkey.ts"
import { type CacheBackend, CacheControl, settingsLayer } from "../contracts/CacheBackend.ts"
import { uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

export const memory: CacheBackend<never> = {
  name: "memory",
  environment: Layer.empty,
  ports: (settings = {}) =>
    Layer.effectContext(
      Effect.map(CacheMemory.make, ({ messageCache, flushQueue, rateLimitStore, wipe }) =>
        Context.make(MessageCache, messageCache).pipe(
          Context.add(FlushQueue, flushQueue),
          Context.add(RateLimitStore, rateLimitStore),
          Context.add(CacheControl, { wipe, elapse: TestClock.adjust }),
        ),
      ),
    ).pipe(Layer.provide(settingsLayer(settings))),
}

/** Nobody waits for time to pass: what expires is brought nearer to its end instead. */
const control = Layer.effect(
  CacheControl,
  Effect.gen(function* () {
    const valkey = yield* Valkey
    const { keyPrefix } = yield* Settings
    const elapse = (time: Duration.DurationInput) =>
      scanPages(valkey, "elapse", `${keyPrefix}*`, (found) =>
        Effect.gen(function* () {
          const left = yield* valkey.sendAll(
            "elapse",
            found.map((key) => ["pttl", key] as const),
          )
          yield* valkey.sendAll(
            "elapse",
            found.map((key, index) => {
              const remaining = Number(left[index])
              return remaining < 0
                ? (["pttl", key] as const)
                : (["pexpire", key, Math.floor(remaining - Duration.toMillis(time))] as const)
            }),
          )
        }),
      ).pipe(Effect.orDie)
    const wipe = scanPages(valkey, "wipe", `${keyPrefix}*`, (found) =>
      valkey.send("wipe", ["del", ...found]),
    ).pipe(Effect.orDie)
    return { wipe, elapse }
  }),
)

export const valkey: CacheBackend<Valkey> = {
  name: "Valkey",
  environment: ValkeyLayer.layer.pipe(Layer.provide(valkeyShared), Layer.orDie),
  ports: (settings = {}) =>
    Layer.unwrapEffect(
      Effect.map(uniqueKeyPrefix, (keyPrefix) =>
        Layer.mergeAll(
          MessageCacheValkey.layer,
          FlushQueueValkey.layer,
          RateLimitStoreValkey.layer,
          control,
        ).pipe(Layer.provide(settingsLayer({ keyPrefix, ...settings }))),
      ),
    ),
}
