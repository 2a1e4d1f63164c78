import { Clock, Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { Percentiles } from "./Latencies.ts"
import * as ProcessorTime from "./ProcessorTime.ts"
import { CheckFailed, type Contestant, type Question } from "./Question.ts"

export interface Sample {
  /** In the unit of the question. */
  readonly value: number
  /** For one of what was done, in microseconds. */
  readonly cpuMicros: ProcessorTime.ProcessorTimes
  readonly latency?: Percentiles
  readonly remark?: string
}

export interface Measurement {
  readonly contestant: Contestant
  /** Of each timed run, in the order of the runs. */
  readonly samples: ReadonlyArray<Sample>
}

export interface Run {
  readonly contestant: Contestant
  /** 0 is the one that warms up. */
  readonly round: number
  readonly sample: Sample
  /** With its preparation and its check. */
  readonly totalMillis: number
}

/** Otherwise each contestant would clear up after the one before it. */
const collectGarbage: Effect.Effect<void> = Effect.sync(() => {
  setFlagsFromString("--expose-gc")
  ;(runInNewContext("gc") as () => void)()
})

const millisSince = (start: bigint) => Effect.map(Clock.currentTimeNanos, (now) => Number(now - start) / 1e6)

const runOnce = Effect.fnUntraced(function* (
  question: Question,
  contestant: Contestant,
  round: number,
  readProcessorTimes: ProcessorTime.ReadProcessorTimes,
) {
  const begin = yield* Clock.currentTimeNanos
  yield* contestant.prepare
  yield* collectGarbage
  const daemon = contestant.daemon === undefined ? undefined : yield* contestant.daemon
  const before = yield* readProcessorTimes(daemon)
  const start = yield* Clock.currentTimeNanos
  const outcome = yield* contestant.run
  const millis = yield* millisSince(start)
  const after = yield* readProcessorTimes(daemon)
  yield* contestant.check.pipe(
    Effect.mapError(
      ({ message }) => new CheckFailed({ message: `${question.name}, ${contestant.name}: ${message}` }),
    ),
  )
  const { value, amount, ...others } = outcome ?? {}
  const done = amount ?? contestant.amount ?? question.amount
  const sample: Sample = {
    value: value ?? (done / millis) * 1000,
    cpuMicros: ProcessorTime.perUnit(before, after, Math.max(1, done)),
    ...others,
  }
  return { contestant, round, sample, totalMillis: yield* millisSince(begin) } satisfies Run
})

/** 0 is not counted. */
export const firstRound = ({ needsNoWarmUp }: Question): number => (needsNoWarmUp === true ? 1 : 0)

/**
 * Runs the contestants in turns (A B A B …), so that whatever else the machine does meanwhile hits all of them. The
 * first round warms up and is not counted, but checked like the others.
 *
 * @param onRun is told of each run when it is over
 */
export const measure = Effect.fnUntraced(function* (
  question: Question,
  repetitions: number,
  readProcessorTimes: ProcessorTime.ReadProcessorTimes,
  onRun: (run: Run) => Effect.Effect<void>,
) {
  const samples = question.contestants.map((): Array<Sample> => [])
  for (let round = firstRound(question); round <= repetitions; round++) {
    for (const [index, contestant] of question.contestants.entries()) {
      const run = yield* runOnce(question, contestant, round, readProcessorTimes)
      if (round > 0) samples[index]!.push(run.sample)
      yield* onRun(run)
    }
  }
  return question.contestants.map((contestant, index): Measurement => ({
    contestant,
    samples: samples[index]!,
  }))
})
