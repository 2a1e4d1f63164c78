import { Effect } from "effect"
import type { Redis } from "iovalkey"
import type { PublicMessageDraft } from "../src/domain/Message.ts"
import * as SettingsConfig from "../src/layers/SettingsConfig.ts"
import * as bullmq from "./publish/bullmq.ts"
import * as evalshaPerMessage from "./publish/evalshaPerMessage.ts"
import { findOtherProblem } from "./publish/findProblem.ts"
import * as prebuiltCalls from "./publish/prebuiltCalls.ts"
import * as publish from "./publish/publish.ts"
import * as publishAll from "./publish/publishAll.ts"
import type { OtherPublishContestant, PublishContestant } from "./publish/PublishContestant.ts"
import * as streams from "./publish/streams.ts"
import * as PublishTarget from "./publish/target.ts"
import { check } from "./support/check.ts"
import * as connections from "./support/connections.ts"
import { makeDrafts, payloadBytes } from "./support/messages.ts"
import type { Contestant, MakeQuestion } from "./support/Question.ts"

const contestants = [
  evalshaPerMessage.contestant,
  publish.contestant,
  publishAll.contestant,
  prebuiltCalls.contestant,
  prebuiltCalls.contestantWithoutRateLimit,
]
const others = [streams.contestant, bullmq.contestant]

const messagesByDefault = 200_000
const callersByDefault = 512

const { maxCacheSize } = SettingsConfig.defaults

interface Given {
  readonly client: Redis
  readonly drafts: ReadonlyArray<PublicMessageDraft>
  readonly callers: number
}

const enter = ({ client, drafts, callers }: Given) =>
  Effect.fnUntraced(function* ({ name, baseline, open }: PublishContestant, index: number) {
    const keyPrefix = `bench:publish:${index}:`
    const target = yield* PublishTarget.make(client, keyPrefix, maxCacheSize)
    const { run } = yield* open({ keyPrefix, drafts, callers, maxCacheSize })
    let cacheIds: ReadonlyArray<number> = []
    return {
      name,
      baseline,
      prepare: target.prepare,
      run: Effect.map(run, (ids) => {
        cacheIds = ids
      }),
      check: target.check(() => ({ drafts, cacheIds })),
    } satisfies Contestant
  })

const enterOther = (given: Given) =>
  Effect.fnUntraced(function* ({ name, baseline, comparison, oneOf, open }: OtherPublishContestant) {
    const keyPrefix = `bench:publish:${comparison}:`
    const drafts = given.drafts.slice(0, Math.ceil(given.drafts.length / oneOf))
    const { run, clear, read } = yield* open({ keyPrefix, drafts, callers: given.callers, maxCacheSize })
    let known: ReadonlyArray<string> = []
    return {
      name,
      baseline,
      amount: drafts.length,
      prepare: Effect.zipRight(Effect.promise(clear), connections.rewriteAppendOnlyFile(given.client)),
      run: Effect.map(run, (ids) => {
        known = ids
      }),
      check: check(async () => findOtherProblem(drafts, known, await read())).pipe(
        Effect.zipLeft(Effect.promise(clear)),
      ),
    } satisfies Contestant
  })

/** How many messages per second a process can hand over, until each caller knows the id of its own. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const client = yield* connections.valkey
    const drafts = makeDrafts(options.messages ?? messagesByDefault, options)
    const callers = options.callers ?? callersByDefault
    const given = { client, drafts, callers }
    const compared = others.filter(({ comparison }) => options.compare.includes(comparison))
    return {
      name: "publish",
      asks: "how many messages per second does one process hand to Valkey?",
      unit: "messages/s",
      better: "higher",
      amount: drafts.length,
      conditions: [
        `${drafts.length} messages of ${payloadBytes(drafts[0]!)} bytes in each run`,
        ...compared.flatMap(({ name, oneOf }) => (oneOf > 1 ? [`one of ${oneOf} of them for ${name}`] : [])),
        `${callers} callers where messages are published one by one, each waiting for its answer`,
        `${options.users} users`,
      ],
      doesNotShow:
        "Latency; more than one process or connection; HTTP; private messages; flushing at the same time (nothing is flushed here); users who reach their limit (every message is counted, none is refused, and the windows are open already). Only chat-cache validates, limits rates, bounds its queue and keeps a recent cache for each channel.",
      contestants: [
        ...(yield* Effect.forEach(contestants, enter(given))),
        ...(yield* Effect.forEach(compared, enterOther(given))),
      ],
    }
  })
