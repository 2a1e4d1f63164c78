import { createHistogram } from "node:perf_hooks"

/** In microseconds. */
export interface Percentiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

export interface Latencies {
  /** @param millis by the clock of `performance.now` */
  readonly record: (millis: number) => void
  readonly percentiles: () => Percentiles
}

/** A histogram with three digits, which is Node's own: its memory does not grow with what it is told. */
export const make = (): Latencies => {
  const histogram = createHistogram()
  const percentile = (percent: number) => histogram.percentile(percent) / 1000
  return {
    record: (millis) => histogram.record(Math.max(1, Math.round(millis * 1e6))),
    percentiles: () => ({ p50: percentile(50), p99: percentile(99), p999: percentile(99.9) }),
  }
}
