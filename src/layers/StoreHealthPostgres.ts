import { Effect, Layer } from "effect"
import { StoreHealth } from "../services/Health.ts"
import { Postgres } from "../services/Postgres.ts"

export const layer: Layer.Layer<StoreHealth, never, Postgres> = Layer.effect(
  StoreHealth,
  Effect.map(Postgres, ({ problem, probe }) => ({
    problem,
    // What the probe finds is told by `problem`.
    probe: Effect.ignore(probe),
  })),
)
