import { Clock, Duration, Effect, Schedule } from "effect"

/**
 * Looks again and again, in real time, until `condition` holds. Tests wait on what they are waiting for, never for a
 * length of time.
 */
export const eventually = <E, R>(
  what: string,
  condition: Effect.Effect<boolean, E, R>,
  within: Duration.DurationInput = "15 seconds",
): Effect.Effect<void, E, R> =>
  condition.pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (holds) => holds }),
    Effect.timeoutOption(within),
    Effect.flatMap((answer) =>
      answer._tag === "Some"
        ? Effect.void
        : Effect.dieMessage(`after ${Duration.format(within)} it still does not hold that ${what}`),
    ),
    Effect.withClock(Clock.make()),
  )
