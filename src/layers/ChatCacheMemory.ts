import { Effect, Layer } from "effect"
import type { UnsafeConfiguration } from "../domain/Errors.ts"
import type { ChatCache } from "../services/ChatCache.ts"
import { CacheHealth, StoreHealth } from "../services/Health.ts"
import type { Settings } from "../services/Settings.ts"
import * as CacheMemory from "./CacheMemory.ts"
import { layerWithoutDependencies } from "./ChatCache.ts"
import * as MessageStoreMemory from "./MessageStoreMemory.ts"

const healthy = Layer.merge(
  Layer.succeed(CacheHealth, { findings: Effect.succeed([]) }),
  Layer.succeed(StoreHealth, {
    problem: Effect.sync(() => undefined),
    findings: Effect.succeed([]),
    probe: Effect.void,
  }),
)

/** chat-cache without servers, for tests of applications. Everything is gone when the layer is closed. */
export const layer: Layer.Layer<ChatCache, UnsafeConfiguration, Settings> = layerWithoutDependencies.pipe(
  Layer.provide(Layer.mergeAll(CacheMemory.layer, MessageStoreMemory.layer, healthy)),
)
