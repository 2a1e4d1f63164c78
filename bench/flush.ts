import { Array as Arrays, Context, Effect, Layer } from "effect"
import type { Client } from "pg"
import * as PostgresLayer from "../src/layers/postgres/Postgres.ts"
import * as SettingsConfig from "../src/layers/SettingsConfig.ts"
import * as Keys from "../src/layers/valkey/Keys.ts"
import { Postgres } from "../src/services/Postgres.ts"
import { findProblem, type StoredRow } from "./flush/findProblem.ts"
import type { FlushContestant } from "./flush/FlushContestant.ts"
import * as flusher from "./flush/flusher.ts"
import * as insertPerRow from "./flush/insertPerRow.ts"
import * as connections from "./support/connections.ts"
import { entriesOf, makeMessages } from "./support/messages.ts"
import { CheckFailed, type Contestant, type MakeQuestion } from "./support/Question.ts"

const batchSizes = [SettingsConfig.defaults.flushBatchSize, 500]

const contestants = batchSizes.flatMap((batchSize) => [
  insertPerRow.contestant(batchSize),
  flusher.contestant(batchSize),
])

const messagesByDefault = 40_000

const readRows = async (client: Client): Promise<ReadonlyArray<StoredRow>> => {
  const { rows } = await client.query<StoredRow>(`
    SELECT message_id, cache_id::float8 AS cache_id, owner_id, username, channel, message,
      to_char(authored_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS authored_at
    FROM chat_messages ORDER BY cache_id, id`)
  return rows
}

const countQuarantined = async (client: Client): Promise<number> => {
  const { rows } = await client.query<{ readonly count: number }>(
    "SELECT count(*)::int4 AS count FROM quarantined_messages",
  )
  return rows[0]!.count
}

/** The tables are those of chat-cache, for the baselines too: the same columns, constraints and indexes. */
const migrate = Effect.scoped(
  Layer.build(PostgresLayer.layer).pipe(
    Effect.map(Context.get(Postgres)),
    Effect.flatMap(({ probe }) => probe),
  ),
).pipe(Effect.orDie)

/** How many rows per second leave the queue for PostgreSQL. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    yield* migrate
    const valkey = yield* connections.valkey
    const postgres = yield* connections.postgres
    const messages = makeMessages(options.messages ?? messagesByDefault, options.users)
    const pieces = Arrays.chunksOf(entriesOf(messages), 1000)

    const enter = Effect.fnUntraced(function* (entrant: FlushContestant, index: number) {
      const { name, baseline, batchSize, open } = entrant
      const keyPrefix = `bench:flush:${index}:`
      const keys = Keys.make(keyPrefix)
      return {
        name,
        baseline,
        prepare: Effect.promise(async () => {
          await postgres.query("TRUNCATE chat_messages RESTART IDENTITY")
          await postgres.query("CHECKPOINT")
          await valkey.del(keys.flushQueue.public)
          await valkey.set(keys.counter.public, messages.length)
          for (const piece of pieces) await valkey.rpush(keys.flushQueue.public, ...piece)
        }).pipe(Effect.zipRight(connections.rewriteAppendOnlyFile(valkey))),
        run: yield* open({ keyPrefix, batchSize, messages: messages.length }),
        check: Effect.promise(async () =>
          findProblem({
            messages,
            rows: await readRows(postgres),
            stillQueued: await valkey.llen(keys.flushQueue.public),
            quarantined: await countQuarantined(postgres),
          }),
        ).pipe(
          Effect.flatMap((message) =>
            message === undefined ? Effect.void : Effect.fail(new CheckFailed({ message })),
          ),
        ),
      } satisfies Contestant
    })

    return {
      name: "flush",
      asks: "how many rows per second leave the queue for PostgreSQL?",
      unit: "rows",
      amount: messages.length,
      conditions: [`a backlog of ${messages.length} public messages in each run`, "one connection"],
      contestants: yield* Effect.forEach(contestants, enter),
    }
  })
