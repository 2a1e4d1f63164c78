/** The tables of chat-cache: what is not timed is done to them here. */
import { Context, Effect, Layer } from "effect"
import type { Client } from "pg"
import type { PublicMessage } from "../../src/domain/Message.ts"
import * as PostgresLayer from "../../src/layers/postgres/Postgres.ts"
import { Postgres } from "../../src/services/Postgres.ts"

/** A row of `chat_messages`. */
export type StoredRow = PublicMessage & { readonly cache_id: number }

/** The tables are those of chat-cache, for the baselines too: the same columns, constraints and indexes. */
export const migrate = Effect.scoped(
  Layer.build(PostgresLayer.layer).pipe(
    Effect.map(Context.get(Postgres)),
    Effect.flatMap(({ probe }) => probe),
  ),
).pipe(Effect.orDie)

export const empty = async (client: Client): Promise<void> => {
  await client.query("TRUNCATE chat_messages, quarantined_messages RESTART IDENTITY")
  await client.query("CHECKPOINT")
}

export const readRows = async (client: Client): Promise<ReadonlyArray<StoredRow>> => {
  const { rows } = await client.query<StoredRow>(`
    SELECT message_id, cache_id::float8 AS cache_id, owner_id, username, channel, message,
      to_char(authored_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS authored_at
    FROM chat_messages ORDER BY cache_id, id`)
  return rows
}

const count = async (client: Client, sql: string): Promise<number> => {
  const { rows } = await client.query<{ readonly count: number }>(sql)
  return rows[0]!.count
}

export const countRows = (client: Client): Promise<number> =>
  count(client, "SELECT count(*)::int4 AS count FROM chat_messages")

export const countTexts = (client: Client): Promise<number> =>
  count(client, "SELECT count(DISTINCT message)::int4 AS count FROM chat_messages")

export const countQuarantined = (client: Client): Promise<number> =>
  count(client, "SELECT count(*)::int4 AS count FROM quarantined_messages")

const badText = "refused by the table: "

/** Makes the table refuse the messages whose text `spoil` has changed, and no others. */
export const refuseBadTexts = (client: Client): Promise<unknown> =>
  client.query(
    `ALTER TABLE chat_messages ADD CONSTRAINT bench_refuses CHECK (message NOT LIKE '${badText}%')`,
  )

export const refuseNothing = (client: Client): Promise<unknown> =>
  client.query("ALTER TABLE chat_messages DROP CONSTRAINT IF EXISTS bench_refuses")

export const spoil = (message: PublicMessage): PublicMessage => ({
  ...message,
  message: badText + message.message,
})
