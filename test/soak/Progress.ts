import { Clock, Effect, Schedule } from "effect"
import type { Load } from "./clients.ts"
import type { Record } from "./nemesis.ts"
import type { Watch } from "./Watch.ts"

export interface Observed {
  readonly load: Load
  readonly record: Record
  readonly watch: Watch
  /** When the failures began. */
  readonly begin: number
  readonly millis: number
  readonly write: (text: string) => void
}

const clock = (millis: number): string => {
  const seconds = Math.max(0, Math.round(millis / 1000))
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
}

export const total = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0)

export const listed = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ")

const line = ({ load, record, watch, begin, millis }: Observed, now: number): string =>
  [
    `${clock(now - begin)}, ${clock(begin + millis - now)} left`,
    listed(load.counts),
    `to send again ${load.toSendAgain.length}`,
    `queued ${watch.queued ?? "unknown"}`,
    `failures ${total(record.struck)}`,
  ].join(" | ")

/** A line every ten seconds, until it is interrupted. */
export const report = (observed: Observed): Effect.Effect<void> =>
  Clock.currentTimeMillis.pipe(
    Effect.map((now) => observed.write(`${line(observed, now)}\n`)),
    Effect.schedule(Schedule.spaced("10 seconds")),
    Effect.asVoid,
  )
