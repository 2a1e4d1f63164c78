import { Duration, Effect } from "effect"

/** `Clock.currentTimeNanos` of the TestClock fails between two milliseconds, where schedules with jitter wake up. */
const now = Effect.clockWith((clock) => Effect.sync(() => clock.unsafeCurrentTimeNanos()))

/**
 * Starts a stop watch: the effect inside tells the time since. The clock on the wall may be set back meanwhile, this one
 * only goes forward.
 */
export const stopWatch: Effect.Effect<Effect.Effect<Duration.Duration>> = Effect.map(now, (startedAt) =>
  Effect.map(now, (stoppedAt) => Duration.nanos(stoppedAt - startedAt)),
)
