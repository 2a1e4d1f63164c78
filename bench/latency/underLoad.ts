import { Effect } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import { inFlight } from "../support/inFlight.ts"
import { makeDrafts } from "../support/messages.ts"
import { openLoop } from "../support/openLoop.ts"
import type { Contestant, MakeQuestion, Outcome } from "../support/Question.ts"
import * as bareCall from "./bareCall.ts"
import * as ground from "./ground.ts"
import type { LatencyContestant, PublishOne } from "./LatencyContestant.ts"
import * as publish from "./publish.ts"

const callersByDefault = 512
const trialMessagesByDefault = 100_000

/** Half of what chat-cache lets wait: a load beyond what a contestant bears must not end in refusals. */
const maximumUnderWay = 10_000

const contestants = [bareCall.contestant, publish.contestant]

/** Messages per second when every caller publishes the next as soon as it has the answer. Tried twice: once to warm up. */
const maximumRate = (
  contestant: LatencyContestant,
  drafts: ReadonlyArray<PublicMessageDraft>,
  callers: number,
) =>
  Effect.gen(function* () {
    const { publishOne, prepare } = yield* ground.make(contestant, "bench:load:trial:")
    let rate = 0
    for (let trial = 0; trial < 2; trial++) {
      yield* prepare
      const start = performance.now()
      yield* inFlight(callers, drafts, publishOne)
      rate = (drafts.length / (performance.now() - start)) * 1000
    }
    yield* prepare
    return rate
  }).pipe(Effect.scoped)

const runAt = (
  rate: number,
  total: number,
  drafts: ReadonlyArray<PublicMessageDraft>,
  publishOne: PublishOne,
) =>
  openLoop({ rate, total, maximumUnderWay }, (index, done) =>
    Effect.runCallback(publishOne(drafts[index % drafts.length]!), { onExit: done }),
  ).pipe(
    Effect.map(({ latencies, dropped, sent }): Outcome => {
      const latency = latencies.percentiles()
      return {
        value: latency.p99,
        amount: sent,
        latency,
        ...(dropped === 0
          ? {}
          : {
              remark: `does not bear this load: ${dropped} of ${total} arrivals found ${maximumUnderWay} waiting`,
            }),
      }
    }),
  )

const digits = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 })

/** How long callers wait while many others come, at half of what the bare calls bear and at half of what chat-cache does. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const drafts = makeDrafts(options.messages ?? trialMessagesByDefault, options)
    const callers = options.callers ?? callersByDefault
    const entries = yield* Effect.forEach(contestants, (of) =>
      Effect.map(maximumRate(of, drafts, callers), (most) => ({ of, rate: Math.ceil(most / 2) })),
    )

    const enter = Effect.fnUntraced(function* (rate: number, entrant: LatencyContestant, at: number) {
      const index = contestants.indexOf(entrant)
      const { publishOne, prepare, check } = yield* ground.make(entrant, `bench:load:${at}:${index}:`)
      const nameOf = ({ name }: LatencyContestant) => `${name}, ${digits.format(rate)}/s`
      const total = Math.min(rate * options.seconds, options.messages ?? Infinity)
      return {
        name: nameOf(entrant),
        baseline: index === 0 ? undefined : nameOf(bareCall.contestant),
        prepare,
        check,
        run: runAt(rate, total, drafts, publishOne),
      } satisfies Contestant
    })

    return {
      name: "latency, loaded",
      asks: "how long do callers wait under load (99th percentile)?",
      unit: "µs",
      better: "lower",
      amount: drafts.length,
      conditions: [
        `calls arrive at fixed times for ${options.seconds} s, and are measured from when they were due`,
        ...entries.map(
          ({ of, rate }) => `${digits.format(rate)}/s is half of what ${of.name} bears at ${callers} callers`,
        ),
      ],
      doesNotShow:
        "A network between the process and Valkey; HTTP; bursts. Callers and client share one thread, which also keeps the time: processor time is that of a thread that never sleeps.",
      contestants: yield* Effect.forEach(
        entries.flatMap(({ rate }, at) => contestants.map((entrant) => ({ rate, entrant, at }))),
        ({ rate, entrant, at }) => enter(rate, entrant, at),
      ),
    }
  })
