import { Clock, Effect } from "effect"

/** The effect of the clock for this fails in Effect's clock for tests, where an instant may have parts of a millisecond. */
const nanos: Effect.Effect<bigint> = Clock.clockWith((clock) =>
  Effect.sync(() => clock.unsafeCurrentTimeNanos()),
)

/**
 * Starts a stop watch: the effect inside tells the milliseconds since. The clock on the wall may be set back meanwhile,
 * and a length of time below zero is none.
 */
export const elapsedMillis: Effect.Effect<Effect.Effect<number>> = Effect.map(nanos, (startedAt) =>
  Effect.map(nanos, (now) => Math.round(Number(now - startedAt) / 1_000_000)),
)
