import { Effect, Schedule, type Scope } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import { inFlight } from "../support/inFlight.ts"
import type { EndToEndWorkload } from "./EndToEndContestant.ts"

const lookEvery = "5 millis"

/**
 * Lets callers pass while the queue is not longer than it may be. Looks at it from time to time, as the callers need not,
 * and costs those nothing who need not wait.
 */
const gate = (length: Effect.Effect<number>, maximum: number) =>
  Effect.suspend(() => {
    let open = true
    let waiting: Array<() => void> = []
    const opened = Effect.async<void>((resume) => void waiting.push(() => resume(Effect.void)))
    const pass = <A>(call: Effect.Effect<A>): Effect.Effect<A> =>
      open ? call : Effect.zipRight(opened, call)
    return length.pipe(
      Effect.map((now) => {
        open = now <= maximum
        if (!open) return
        const passing = waiting
        waiting = []
        for (const pass of passing) pass()
      }),
      Effect.repeat(Schedule.spaced(lookEvery)),
      Effect.forkScoped,
      Effect.as(pass),
    )
  })

interface Ways<Item> {
  readonly items: ReadonlyArray<Item>
  readonly callers: number
  readonly publish: (item: Item) => Effect.Effect<unknown>
  /** Of the queue. */
  readonly length: Effect.Effect<number>
  /** Stores what is published, and ends when publishing has ended and nothing is left. Returns how many were stored. */
  readonly store: (hasEnded: () => boolean) => Effect.Effect<number, never, Scope.Scope>
}

/** Publishes and stores at the same time. Returns how many were stored. */
export const publishAndStore = <Item = PublicMessageDraft>(
  { maximumBacklog }: EndToEndWorkload,
  { items, callers, publish, length, store }: Ways<Item>,
): Effect.Effect<number> =>
  Effect.gen(function* () {
    let ended = false
    const pass = yield* gate(length, maximumBacklog)
    const publishing = inFlight(callers, items, (item) => pass(publish(item))).pipe(
      Effect.map(() => {
        ended = true
      }),
    )
    // When one of them breaks, the other would wait for it for ever: it is interrupted.
    const [stored] = yield* Effect.all([store(() => ended), publishing], { concurrency: "unbounded" })
    return stored
  }).pipe(Effect.scoped)
