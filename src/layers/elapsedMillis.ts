import { Clock, Effect } from "effect"

/**
 * Starts a stop watch: the effect inside tells the milliseconds since. The clock on the wall may be set back meanwhile,
 * and a length of time below zero is none.
 */
export const elapsedMillis: Effect.Effect<Effect.Effect<number>> = Effect.map(
  Clock.currentTimeNanos,
  (startedAt) => Effect.map(Clock.currentTimeNanos, (now) => Math.round(Number(now - startedAt) / 1_000_000)),
)
