import { Clock, Duration, Effect } from "effect"

export interface UnhurriedClock {
  readonly clock: Clock.Clock
  /** Lets time pass. Nothing else does. */
  readonly elapse: (time: Duration.DurationInput) => Effect.Effect<void>
}

/**
 * A clock for a world in memory: whoever sleeps is woken as soon as nothing else goes on, the shortest sleep first, so
 * that a lock that nobody will release costs no time. What the clock shows changes only when told.
 */
export const make = (startMillis: number): UnhurriedClock => {
  let millis = startMillis
  let wakings = 0
  const sleepers = new Map<symbol, { readonly wakesAt: number; readonly wake: () => void }>()
  let slept = 0

  const wakeNext = (): void => {
    const next = [...sleepers].sort(([, one], [, other]) => one.wakesAt - other.wakesAt)[0]
    if (next === undefined) return
    sleepers.delete(next[0])
    slept = Math.max(slept, next[1].wakesAt)
    next[1].wake()
  }

  const sleep = (duration: Duration.Duration): Effect.Effect<void> =>
    Effect.async((resume) => {
      const sleeper = Symbol(`sleeper ${++wakings}`)
      sleepers.set(sleeper, {
        wakesAt: slept + Duration.toMillis(duration),
        wake: () => resume(Effect.void),
      })
      // Everything in memory proceeds in microtasks, which are all done before an immediate runs.
      setImmediate(wakeNext)
      return Effect.sync(() => sleepers.delete(sleeper))
    })

  return {
    clock: {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: () => millis,
      unsafeCurrentTimeNanos: () => BigInt(millis) * 1_000_000n,
      currentTimeMillis: Effect.sync(() => millis),
      currentTimeNanos: Effect.sync(() => BigInt(millis) * 1_000_000n),
      sleep,
    },
    elapse: (time) =>
      Effect.sync(() => {
        millis += Duration.toMillis(time)
      }),
  }
}
