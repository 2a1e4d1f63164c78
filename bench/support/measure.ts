import { Clock, Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { CheckFailed, type Contestant, type Question } from "./Question.ts"

export interface Sample {
  readonly perSecond: number
  /** Processor time of this process for one unit, in microseconds. That of the servers is not in it. */
  readonly cpuMicros: number
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
  { name, amount }: Question,
  contestant: Contestant,
  round: number,
) {
  const begin = yield* Clock.currentTimeNanos
  yield* contestant.prepare
  yield* collectGarbage
  const cpuBefore = process.cpuUsage()
  const start = yield* Clock.currentTimeNanos
  yield* contestant.run
  const millis = yield* millisSince(start)
  const { user, system } = process.cpuUsage(cpuBefore)
  yield* contestant.check.pipe(
    Effect.mapError(({ message }) => new CheckFailed({ message: `${name}, ${contestant.name}: ${message}` })),
  )
  const sample: Sample = { perSecond: (amount / millis) * 1000, cpuMicros: (user + system) / amount }
  return { contestant, round, sample, totalMillis: yield* millisSince(begin) } satisfies Run
})

/**
 * Runs the contestants in turns (A B A B …), so that whatever else the machine does meanwhile hits all of them. The
 * first round warms up and is not counted, but checked like the others.
 *
 * @param onRun is told of each run when it is over
 */
export const measure = Effect.fnUntraced(function* (
  question: Question,
  repetitions: number,
  onRun: (run: Run) => Effect.Effect<void>,
) {
  const samples = question.contestants.map((): Array<Sample> => [])
  for (let round = 0; round <= repetitions; round++) {
    for (const [index, contestant] of question.contestants.entries()) {
      const run = yield* runOnce(question, contestant, round)
      if (round > 0) samples[index]!.push(run.sample)
      yield* onRun(run)
    }
  }
  return question.contestants.map((contestant, index): Measurement => ({
    contestant,
    samples: samples[index]!,
  }))
})
