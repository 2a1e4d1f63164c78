import { Effect } from "effect"
import type { QueueName } from "../../src/domain/Message.ts"
import type { Findings, Quarantined, Row } from "./books.ts"
import type { NotDone, Servers } from "./Servers.ts"
import { queueLength } from "./Watch.ts"

const allRows = `
  SELECT 'public' AS queue, message_id::text AS message_id, message FROM chat_messages
  UNION ALL
  SELECT 'private', message_id::text, message FROM private_messages`

const journalTotals = `
  SELECT coalesce(sum((data->>'persisted')::bigint), 0)::int AS persisted,
         coalesce(sum((data->>'quarantined')::bigint), 0)::int AS quarantined
  FROM events WHERE type = 'BatchPersisted'`

/** What the servers hold. */
export const look = (servers: Servers): Effect.Effect<Findings, NotDone> =>
  Effect.gen(function* () {
    const rows = yield* servers.onPostgres(allRows)
    const quarantined = yield* servers.onPostgres(
      "SELECT queue, encode(raw, 'hex') AS raw, reason FROM quarantined_messages",
    )
    const [journal] = yield* servers.onPostgres(journalTotals)
    return {
      rows: rows.map(({ queue, message_id: messageId, message: text }): Row => ({
        queue: queue as QueueName,
        messageId: String(messageId),
        text: String(text),
      })),
      quarantined: quarantined.map(({ queue, raw, reason }): Quarantined => ({
        queue: queue as QueueName,
        raw: Buffer.from(String(raw), "hex").toString("latin1"),
        reason: String(reason),
      })),
      journal: { persisted: Number(journal?.["persisted"]), quarantined: Number(journal?.["quarantined"]) },
      queued: yield* queueLength(servers),
    }
  })
