/** Makes things fail as the schedule says, and heals them. */
import { Clock, Effect, Schedule } from "effect"
import type { PlannedFault } from "./Fault.ts"
import type { Fault } from "./faults/Strike.ts"
import { NotDone } from "./Servers.ts"
import type { World } from "./World.ts"

export interface Record {
  /** By name, those that came about. */
  readonly struck: Map<string, number>
  /** By name, those that something else kept from coming about. */
  readonly missed: Map<string, number>
  readonly notHealed: Array<string>
}

export const makeRecord = (): Record => ({ struck: new Map(), missed: new Map(), notHealed: [] })

/** How long a failure may try to come about. */
const patience = 3000
/** After the last failure. Before it, others may be in the way of healing. */
const healWithin = 120_000

const again = Schedule.spaced("200 millis")

const count = (counts: Map<string, number>, name: string): void => {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

/** The controls of the servers have no errors of their own: whatever they meet is tried again like the others. */
const tried = (effect: Effect.Effect<void, NotDone>): Effect.Effect<void, NotDone> =>
  Effect.catchAllDefect(effect, (defect) => new NotDone({ message: String(defect) }))

const happen = (
  world: World,
  record: Record,
  fault: Fault,
  { lasts, target }: PlannedFault,
  healUntil: number,
) =>
  Effect.gen(function* () {
    const { heal, name } = fault
    yield* tried(fault.strike(world, target)).pipe(
      Effect.retry(Schedule.intersect(again, Schedule.recurUpTo(Math.max(patience, lasts)))),
      Effect.match({
        onSuccess: () => count(record.struck, name),
        onFailure: () => count(record.missed, name),
      }),
    )
    yield* Effect.sleep(lasts)
    if (heal === undefined) return
    const left = healUntil - (yield* Clock.currentTimeMillis)
    yield* tried(heal(world, target)).pipe(
      Effect.retry(Schedule.intersect(again, Schedule.recurUpTo(left))),
      Effect.catchAll(({ message }) =>
        Effect.sync(() => void record.notHealed.push(`${name} ${target}: ${message}`)),
      ),
    )
  })

/** Ends when everything is healed. */
export const run = (
  world: World,
  record: Record,
  faults: ReadonlyArray<Fault>,
  plan: ReadonlyArray<PlannedFault>,
  runMillis: number,
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const byName = new Map(faults.map((fault) => [fault.name, fault]))
    const places = new Map<string, Effect.Semaphore>()
    const begin = yield* Clock.currentTimeMillis
    yield* Effect.forEach(
      plan,
      (planned) => {
        const fault = byName.get(planned.name)!
        const place = `${fault.strikes} ${planned.target}`
        const turn = places.get(place) ?? Effect.unsafeMakeSemaphore(1)
        places.set(place, turn)
        return Effect.gen(function* () {
          yield* Effect.sleep(Math.max(0, begin + planned.at - (yield* Clock.currentTimeMillis)))
          yield* turn.withPermits(1)(
            Effect.gen(function* () {
              // Healing those before it has taken longer than planned.
              if ((yield* Clock.currentTimeMillis) > begin + runMillis)
                return count(record.missed, fault.name)
              yield* happen(world, record, fault, planned, begin + runMillis + healWithin)
            }),
          )
        })
      },
      { concurrency: "unbounded", discard: true },
    )
  })
