import { Effect, Redacted } from "effect"
import type { Redis } from "iovalkey"
import { createPool, type DatabasePool, sql } from "slonik"
import type { PublicMessage } from "../../src/domain/Message.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import * as connections from "../support/connections.ts"
import type { FlushContestant } from "./FlushContestant.ts"

export interface QueuedEntry {
  readonly cache_id: number
  readonly data: PublicMessage
}

export const insert = ({ cache_id, data }: QueuedEntry) => sql.unsafe`
  INSERT INTO chat_messages (message_id, cache_id, owner_id, username, channel, message, authored_at)
  VALUES (
    ${data.message_id}, ${cache_id}, ${data.owner_id}, ${data.username}, ${data.channel}, ${data.message},
    ${data.authored_at}
  )`

const workOff = async (
  client: Redis,
  pool: DatabasePool,
  queue: string,
  batchSize: number,
): Promise<void> => {
  while (true) {
    const texts = await client.lrange(queue, 0, batchSize - 1)
    if (texts.length === 0) return
    const entries = texts.map((text) => JSON.parse(text) as QueuedEntry)
    await pool.transaction(async (transaction) => {
      for (const entry of entries) await transaction.query(insert(entry))
    })
    await client.ltrim(queue, entries.length, -1)
  }
}

export const openPool = Effect.flatMap(PostgresServer, ({ url }) =>
  Effect.acquireRelease(
    Effect.promise(async () => createPool(Redacted.value(url))),
    (pool) => Effect.promise(() => pool.end()),
  ),
)

export const nameOf = (batchSize: number): string => `INSERT per row, batches of ${batchSize}`

/** The baseline: slonik as it comes, one statement for each row. No validation, no quarantine, no journal. */
export const contestant = (batchSize: number): FlushContestant => ({
  name: nameOf(batchSize),
  batchSize,
  oneOf: 8,
  open: ({ keyPrefix }) =>
    Effect.map(Effect.all([connections.valkey, openPool]), ([client, pool]) =>
      Effect.promise(() => workOff(client, pool, Keys.make(keyPrefix).flushQueue.public, batchSize)),
    ),
})
