import type { Percentiles } from "./Latencies.ts"
import type { Measurement, Sample } from "./measure.ts"
import type { ProcessorTimes } from "./ProcessorTime.ts"
import type { Question } from "./Question.ts"

/** What came out for one contestant, in the unit of its question. Written to JSON as it is. */
export interface ContestantResult {
  readonly name: string
  /** Name of the contestant that it is compared with, `null` for one that others are compared with. */
  readonly baseline: string | null
  readonly median: number
  readonly minimum: number
  readonly maximum: number
  /** Median divided by the median of the baseline. */
  readonly ratio: number
  /** Medians of the processor time for one unit, in microseconds. */
  readonly cpuMicros: ProcessorTimes
  /** Medians of each percentile. */
  readonly latency: Percentiles | null
  /** Of the last run. */
  readonly remark: string | null
  readonly samples: ReadonlyArray<Sample>
}

export interface QuestionResult {
  readonly name: string
  readonly asks: string
  readonly unit: string
  readonly better: "higher" | "lower"
  readonly conditions: ReadonlyArray<string>
  readonly doesNotShow: string
  readonly contestants: ReadonlyArray<ContestantResult>
}

/** @param values at least one */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >>> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const medianOrNull = (values: ReadonlyArray<number | null>): number | null => {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : median(known)
}

const cpuOf = (samples: ReadonlyArray<Sample>): ProcessorTimes => ({
  client: median(samples.map(({ cpuMicros }) => cpuMicros.client)),
  valkey: medianOrNull(samples.map(({ cpuMicros }) => cpuMicros.valkey)),
  postgresql: medianOrNull(samples.map(({ cpuMicros }) => cpuMicros.postgresql)),
  daemon: medianOrNull(samples.map(({ cpuMicros }) => cpuMicros.daemon)),
})

const latencyOf = (samples: ReadonlyArray<Sample>): Percentiles | null => {
  const known = samples.flatMap(({ latency }) => (latency === undefined ? [] : [latency]))
  if (known.length === 0) return null
  return {
    p50: median(known.map(({ p50 }) => p50)),
    p99: median(known.map(({ p99 }) => p99)),
    p999: median(known.map(({ p999 }) => p999)),
  }
}

export const resultOf = (
  { name, asks, unit, better, conditions, doesNotShow }: Question,
  measurements: ReadonlyArray<Measurement>,
): QuestionResult => {
  const figures = new Map(
    measurements.map(({ contestant, samples }) => [contestant.name, samples.map(({ value }) => value)]),
  )
  const contestants = measurements.map(({ contestant, samples }): ContestantResult => {
    const own = figures.get(contestant.name)!
    return {
      name: contestant.name,
      baseline: contestant.baseline ?? null,
      median: median(own),
      minimum: Math.min(...own),
      maximum: Math.max(...own),
      ratio: median(own) / median(figures.get(contestant.baseline ?? contestant.name)!),
      cpuMicros: cpuOf(samples),
      latency: latencyOf(samples),
      remark: samples.at(-1)?.remark ?? null,
      samples,
    }
  })
  return { name, asks, unit, better, conditions, doesNotShow, contestants }
}
