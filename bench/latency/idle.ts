import { Effect } from "effect"
import * as Latencies from "../support/Latencies.ts"
import { makeDrafts } from "../support/messages.ts"
import type { Contestant, MakeQuestion } from "../support/Question.ts"
import * as bareCall from "./bareCall.ts"
import * as ground from "./ground.ts"
import type { LatencyContestant } from "./LatencyContestant.ts"
import * as publish from "./publish.ts"

const messagesByDefault = 10_000

/** How long one caller waits who is alone. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const drafts = makeDrafts(options.messages ?? messagesByDefault, options)

    const enter = Effect.fnUntraced(function* (entrant: LatencyContestant, index: number) {
      const { publishOne, prepare, check } = yield* ground.make(entrant, `bench:idle:${index}:`)
      return {
        name: entrant.name,
        baseline: index === 0 ? undefined : bareCall.contestant.name,
        prepare,
        check,
        run: Effect.gen(function* () {
          const latencies = Latencies.make()
          for (const draft of drafts) {
            const start = performance.now()
            yield* publishOne(draft)
            latencies.record(performance.now() - start)
          }
          const latency = latencies.percentiles()
          return { value: latency.p50, latency }
        }),
      } satisfies Contestant
    })

    return {
      name: "latency, idle",
      asks: "how long does a caller wait who is alone (median)?",
      unit: "µs",
      better: "lower",
      amount: drafts.length,
      conditions: [`${drafts.length} calls in each run, one after the other`, "no other load"],
      doesNotShow: "A network between the process and Valkey; HTTP; anything under load.",
      contestants: yield* Effect.forEach([bareCall.contestant, publish.contestant], enter),
    }
  })
