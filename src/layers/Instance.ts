import { Clock, Effect, Layer } from "effect"
import { v7 as uuidV7 } from "uuid"
import { Instance } from "../services/Instance.ts"
import { version } from "./version.ts"

export const layer: Layer.Layer<Instance> = Layer.effect(
  Instance,
  Effect.map(Clock.currentTimeMillis, (startedAt) => ({ id: uuidV7(), version, startedAt })),
)
