import { Effect } from "effect"
import * as SettingsConfig from "../src/layers/SettingsConfig.ts"
import * as Keys from "../src/layers/valkey/Keys.ts"
import * as copy from "./flush/copy.ts"
import { findProblem } from "./flush/findProblem.ts"
import type { FlushContestant } from "./flush/FlushContestant.ts"
import * as flusher from "./flush/flusher.ts"
import * as insertPerRow from "./flush/insertPerRow.ts"
import { check } from "./support/check.ts"
import * as connections from "./support/connections.ts"
import { fillList } from "./support/lists.ts"
import { entriesOf, makeMessages } from "./support/messages.ts"
import type { Contestant, MakeQuestion } from "./support/Question.ts"
import * as tables from "./support/tables.ts"

/** The default, and the largest one that can be set. */
const batchSizes = [SettingsConfig.defaults.flushBatchSize, 10_000]
const oneBadOf = 2000

const contestantsOver = (sockets: number): ReadonlyArray<FlushContestant> =>
  batchSizes.flatMap((batchSize) => [
    insertPerRow.contestant(batchSize),
    flusher.contestant(batchSize),
    flusher.contestantWithBadRows(batchSize, oneBadOf),
    copy.contestant(batchSize, sockets),
  ])

const messagesByDefault = 200_000

/** How many rows per second leave the queue for PostgreSQL. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    yield* tables.migrate
    const valkey = yield* connections.valkey
    const postgres = yield* connections.postgres
    const allGood = makeMessages(options.messages ?? messagesByDefault, options)

    /** Somewhere else in each block, so that no size of batch or group suits it. */
    const placeOfBad = (block: number, length: number) =>
      (block * 617 + 308) % Math.min(length, allGood.length)
    const contestants = contestantsOver(options.sockets ?? 1)

    const enter = Effect.fnUntraced(function* (entrant: FlushContestant, index: number) {
      const { name, baseline, batchSize, oneOf = 1, oneBadOf, ignoresQueue, open } = entrant
      const keyPrefix = `bench:flush:${index}:`
      const keys = Keys.make(keyPrefix)
      const isBad = (at: number) =>
        oneBadOf !== undefined && at % oneBadOf === placeOfBad(Math.floor(at / oneBadOf), oneBadOf)
      const messages = allGood
        .slice(0, Math.ceil(allGood.length / oneOf))
        .map((message, at) => (isBad(at) ? tables.spoil(message) : message))
      const entries = ignoresQueue === true ? [] : entriesOf(messages)
      return {
        name,
        baseline,
        amount: messages.length,
        prepare: Effect.promise(async () => {
          await tables.empty(postgres)
          if (oneBadOf !== undefined) await tables.refuseBadTexts(postgres)
          await valkey.del(keys.flushQueue.public)
          await valkey.set(keys.counter.public, messages.length)
          await fillList(valkey, keys.flushQueue.public, entries)
        }).pipe(Effect.zipRight(connections.rewriteAppendOnlyFile(valkey))),
        run: yield* open({ keyPrefix, batchSize, messages }),
        check: check(async () => {
          await tables.refuseNothing(postgres)
          return findProblem({
            messages,
            rows: await tables.readRows(postgres),
            stillQueued: await valkey.llen(keys.flushQueue.public),
            quarantined: await tables.countQuarantined(postgres),
            isBad,
          })
        }),
      } satisfies Contestant
    })

    return {
      name: "flush",
      asks: "how many rows per second leave the queue for PostgreSQL?",
      unit: "rows/s",
      better: "higher",
      amount: allGood.length,
      conditions: [
        `a backlog of ${allGood.length} public messages in each run`,
        ...contestants.flatMap(({ name, oneOf }) =>
          oneOf === undefined ? [] : [`one of ${oneOf} of them for ${name}`],
        ),
        "one connection unless said",
      ],
      doesNotShow:
        "Publishing at the same time; a table that is large already; a queue from which messages were ever deleted (the ids of each batch are looked up then); a PostgreSQL on another machine, where one statement per row costs a round trip through the network each; several daemons. The plain way validates nothing, keeps no journal and has no quarantine: dying between COMMIT and LTRIM, or at a bad row, it would fail on that batch for ever. COPY reads no queue and would fail as a whole at a duplicate.",
      contestants: yield* Effect.forEach(contestants, enter),
    }
  })
