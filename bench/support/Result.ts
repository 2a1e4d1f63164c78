import type { Measurement, Sample } from "./measure.ts"
import type { Question } from "./Question.ts"

/** What came out for one contestant: units per second, and the ratio of the medians. Written to JSON as it is. */
export interface ContestantResult {
  readonly name: string
  /** Name of the contestant that it is compared with, `null` for one that others are compared with. */
  readonly baseline: string | null
  readonly median: number
  readonly minimum: number
  readonly maximum: number
  /** Median divided by the median of the baseline. */
  readonly ratio: number
  /** Median of the processor time of the client for one unit, in microseconds. */
  readonly cpuMicros: number
  readonly samples: ReadonlyArray<Sample>
}

export interface QuestionResult {
  readonly name: string
  readonly asks: string
  readonly unit: string
  readonly conditions: ReadonlyArray<string>
  readonly contestants: ReadonlyArray<ContestantResult>
}

/** @param values at least one */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >>> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const resultOf = (
  { name, asks, unit, conditions }: Question,
  measurements: ReadonlyArray<Measurement>,
): QuestionResult => {
  const rates = new Map(
    measurements.map(({ contestant, samples }) => [
      contestant.name,
      samples.map(({ perSecond }) => perSecond),
    ]),
  )
  const contestants = measurements.map(({ contestant, samples }): ContestantResult => {
    const own = rates.get(contestant.name)!
    return {
      name: contestant.name,
      baseline: contestant.baseline ?? null,
      median: median(own),
      minimum: Math.min(...own),
      maximum: Math.max(...own),
      ratio: median(own) / median(rates.get(contestant.baseline ?? contestant.name)!),
      cpuMicros: median(samples.map(({ cpuMicros }) => cpuMicros)),
      samples,
    }
  })
  return { name, asks, unit: `${unit}/s`, conditions, contestants }
}
