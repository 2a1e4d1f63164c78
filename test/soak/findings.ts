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
  SELECT coalesce(sum((data->>'persisted')::int) FILTER (WHERE type = 'BatchPersisted'), 0)::int AS persisted,
         coalesce(sum((data->>'quarantined')::int) FILTER (WHERE type = 'BatchPersisted'), 0)::int AS quarantined,
         count(*) FILTER (WHERE type = 'MessageDeleted')::int AS deleted
  FROM events`

/** Of a row that a deletion took away, it is noted whose caches showed it. */
const deletionTotals = `
  SELECT count(*)::int AS all,
         (count(*) FILTER (WHERE num_nonnulls(owner_id, recipient_id, channel) > 0))::int AS "ofRows"
  FROM deleted_messages`

/** What the servers hold, and what the daemons showed in the end. */
export const look = (servers: Servers, shown: ReadonlyArray<string>): Effect.Effect<Findings, NotDone> =>
  Effect.gen(function* () {
    const rows = yield* servers.onPostgres(allRows)
    const quarantined = yield* servers.onPostgres(
      "SELECT queue, encode(raw, 'hex') AS raw, reason FROM quarantined_messages",
    )
    const [journal] = yield* servers.onPostgres(journalTotals)
    const [deletions] = yield* servers.onPostgres(deletionTotals)
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
      journal: journal as unknown as Findings["journal"],
      deletions: deletions as unknown as Findings["deletions"],
      shown,
      queued: yield* queueLength(servers),
    }
  })
