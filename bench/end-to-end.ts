import { Effect } from "effect"
import * as batchedInsert from "./end-to-end/batchedInsert.ts"
import * as bullmq from "./end-to-end/bullmq.ts"
import * as chatCache from "./end-to-end/chatCache.ts"
import type { EndToEndContestant } from "./end-to-end/EndToEndContestant.ts"
import { findProblem } from "./end-to-end/findProblem.ts"
import * as insertPerMessage from "./end-to-end/insertPerMessage.ts"
import * as streams from "./end-to-end/streams.ts"
import * as wholeList from "./end-to-end/wholeList.ts"
import { check } from "./support/check.ts"
import * as connections from "./support/connections.ts"
import { makeDrafts, payloadBytes } from "./support/messages.ts"
import type { Contestant, MakeQuestion } from "./support/Question.ts"
import * as tables from "./support/tables.ts"

const contestants: ReadonlyArray<EndToEndContestant> = [
  wholeList.contestant,
  wholeList.original,
  insertPerMessage.contestant,
  batchedInsert.contestant,
  streams.contestant,
  bullmq.contestant,
  chatCache.contestant,
]

const messagesByDefault = 100_000
const callersByDefault = 512
const maximumBacklog = 10_000
const socketsByDefault = 2

/** How many messages per second go all the way from a caller to a row. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    yield* tables.migrate
    const valkey = yield* connections.valkey
    const postgres = yield* connections.postgres
    const allDrafts = makeDrafts(options.messages ?? messagesByDefault, options)
    const callers = options.callers ?? callersByDefault
    const sockets = options.sockets ?? socketsByDefault
    const entered = contestants.filter(
      ({ comparison }) => comparison === undefined || options.compare.includes(comparison),
    )

    const enter = Effect.fnUntraced(function* (entrant: EndToEndContestant, index: number) {
      const { name, baseline, oneOf = 1, loses = false, open } = entrant
      const drafts = allDrafts.slice(0, Math.ceil(allDrafts.length / oneOf))
      const keyPrefix = `bench:end-to-end:${index}:`
      const { run, clear } = yield* open({ keyPrefix, drafts, callers, maximumBacklog, sockets })
      return {
        name,
        baseline,
        amount: drafts.length,
        prepare: Effect.promise(async () => {
          await tables.empty(postgres)
          await clear?.()
        }).pipe(Effect.zipRight(connections.rewriteAppendOnlyFile(valkey))),
        run,
        check: check(async () => {
          const quarantined = await tables.countQuarantined(postgres)
          return quarantined > 0
            ? `${quarantined} messages are quarantined`
            : findProblem(drafts, await tables.readRows(postgres), loses)
        }),
      } satisfies Contestant
    })

    return {
      name: "end-to-end",
      asks: "how many messages per second go from a caller into PostgreSQL?",
      unit: "messages/s",
      better: "higher",
      amount: allDrafts.length,
      conditions: [
        `${allDrafts.length} messages of ${payloadBytes(allDrafts[0]!)} bytes in each run`,
        ...entered.flatMap(({ name, oneOf }) =>
          oneOf === undefined ? [] : [`one of ${oneOf} of them for ${name}`],
        ),
        `${callers} callers, who wait while more than about ${maximumBacklog} messages are in no table yet`,
        "published and stored by one process",
      ],
      doesNotShow:
        "Servers and callers on machines of their own; a table that is large already; what each way does when something breaks, in which they differ most. How much the original loses in a chat: here callers are far faster than it stores, and whatever comes meanwhile is lost. The ways without Valkey have no recent cache and no rate limit, and take nothing while PostgreSQL is away; Streams and BullMQ have no recent cache and no rate limit either; only chat-cache validates, keeps a journal and sets bad messages aside.",
      contestants: yield* Effect.forEach(entered, enter),
    }
  })
