import { Effect } from "effect"
import * as Latencies from "./Latencies.ts"

export interface Load {
  /** Calls per second. */
  readonly rate: number
  /** How many there are in all. */
  readonly total: number
  /** The most calls without an answer: an arrival that finds so many is dropped. */
  readonly maximumUnderWay: number
}

export interface Progress {
  sent: number
  answered: number
  /** Arrivals that were not sent, because too many were under way. */
  dropped: number
  /** From when each call was due to its answer. */
  readonly latencies: Latencies.Latencies
}

/** Node's timers are no more exact than this. */
const shortestTimerMillis = 2

/** @param call makes the call with this number and calls `done` once with its answer, successful or not */
export type Call = (index: number, done: () => void) => void

/** The state of a load that goes on, for whoever wants to see it before the end. */
export const progress = (): Progress => ({ sent: 0, answered: 0, dropped: 0, latencies: Latencies.make() })

const drive = ({ rate, total, maximumUnderWay }: Load, call: Call, state: Progress, onEnd: () => void) => {
  const start = performance.now()
  let next = 0
  let stopped = false
  const arrive = (index: number): void => {
    if (state.sent - state.answered >= maximumUnderWay) {
      state.dropped++
      return
    }
    const due = start + (index * 1000) / rate
    state.sent++
    call(index, () => {
      state.answered++
      state.latencies.record(performance.now() - due)
      if (next === total && state.answered === state.sent) onEnd()
    })
  }
  const step = (): void => {
    if (stopped) return
    const now = performance.now()
    while (next < total && start + (next * 1000) / rate <= now) arrive(next++)
    if (next === total) {
      if (state.answered === state.sent) onEnd()
      return
    }
    const wait = start + (next * 1000) / rate - performance.now()
    if (wait > shortestTimerMillis) setTimeout(step, wait - shortestTimerMillis)
    else setImmediate(step)
  }
  step()
  return () => {
    stopped = true
  }
}

/**
 * Makes calls at fixed times, whether or not earlier ones have their answers, and measures each from when it was due.
 * A caller who waits for its answer before it makes the next call would leave out just the calls that would have had to
 * wait ("coordinated omission").
 */
export const openLoop = (load: Load, call: Call, state: Progress = progress()): Effect.Effect<Progress> =>
  Effect.async((resume) => {
    const stop = drive(load, call, state, () => resume(Effect.succeed(state)))
    return Effect.sync(stop)
  })
