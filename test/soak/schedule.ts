import { Effect, Random } from "effect"
import type { FaultKind, PlannedFault } from "./Fault.ts"

/** Between the beginnings of two failures, in milliseconds: about a second. */
const gap = { shortest: 400, longest: 1600 }

/** After a failure has ended, the thing that it struck is left alone for this long. */
const pause = 700

const shortestDuration = 100

const choose = (kinds: ReadonlyArray<FaultKind>) =>
  Effect.gen(function* () {
    const total = kinds.reduce((sum, { weight }) => sum + weight, 0)
    let drawn = yield* Random.nextRange(0, total)
    return kinds.find(({ weight }) => (drawn -= weight) < 0) ?? kinds.at(-1)
  })

const plan = (kinds: ReadonlyArray<FaultKind>, runMillis: number) =>
  Effect.gen(function* () {
    const planned: Array<PlannedFault> = []
    const freeAt = new Map<string, number>()
    let at = yield* Random.nextIntBetween(gap.shortest, gap.longest)
    while (at + shortestDuration <= runMillis) {
      const target = yield* Random.nextIntBetween(0, 2 ** 30)
      const placeOf = ({ strikes, targets }: FaultKind) => `${strikes} ${target % targets}`
      const kind = yield* choose(kinds.filter((candidate) => (freeAt.get(placeOf(candidate)) ?? 0) <= at))
      if (kind !== undefined) {
        // Short ones are more frequent than long ones.
        const share = (yield* Random.next) ** 2
        const wanted = kind.longest === 0 ? 0 : shortestDuration + share * (kind.longest - shortestDuration)
        const lasts = Math.round(Math.min(wanted, runMillis - at))
        planned.push({ at, name: kind.name, target: target % kind.targets, lasts })
        freeAt.set(placeOf(kind), at + lasts + pause)
      }
      at += yield* Random.nextIntBetween(gap.shortest, gap.longest)
    }
    return planned
  })

/** Which failure comes when, how long it lasts and whom it strikes. The same seed gives the same answer. */
export const schedule = (
  seed: number,
  runMillis: number,
  kinds: ReadonlyArray<FaultKind>,
): ReadonlyArray<PlannedFault> => Effect.runSync(Effect.withRandom(plan(kinds, runMillis), Random.make(seed)))
