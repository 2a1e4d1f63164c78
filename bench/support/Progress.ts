import { Effect } from "effect"
import { format } from "./figures.ts"
import { firstRound, type Run } from "./measure.ts"
import type { Question } from "./Question.ts"

const mean = (values: ReadonlyArray<number>): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)

const formatDuration = (millis: number): string => {
  const seconds = Math.ceil(millis / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/**
 * Writes a line for each run, and about how long the question will go on: each run still to come is taken to last as
 * long as those of its contestant did, or where there is none yet, as long as all of them did.
 */
export const reporter = (question: Question, repetitions: number, write: (text: string) => void) => {
  const rounds = repetitions + 1 - firstRound(question)
  const total = rounds * question.contestants.length
  const durations = new Map(question.contestants.map(({ name }) => [name, [] as Array<number>]))
  let done = 0
  return ({ contestant, round, sample, totalMillis }: Run): Effect.Effect<void> =>
    Effect.sync(() => {
      done++
      durations.get(contestant.name)!.push(totalMillis)
      const overall = mean([...durations.values()].flat())
      const left = [...durations.values()].reduce(
        (sum, known) => sum + (rounds - known.length) * (known.length === 0 ? overall : mean(known)),
        0,
      )
      const kind = round === 0 ? "warm-up" : `round ${round} of ${repetitions}`
      const figure = `${format(sample.value)} ${question.unit}`
      write(
        `${question.name} ${done}/${total} (${kind}): ${contestant.name}, ${figure}; about ${formatDuration(left)} left\n`,
      )
    })
}
