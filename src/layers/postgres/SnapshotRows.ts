/** The questions of an audit. Each is one statement that reads, and whose answer is short however large the tables are. */
import { type FragmentSqlToken, type QuerySqlToken, sql } from "slonik"
import type { IdRange } from "../../domain/Ledger.ts"
import type { QueueName } from "../../domain/Message.ts"
import * as ArrayLiteral from "./ArrayLiteral.ts"

const tables: Readonly<Record<QueueName, FragmentSqlToken>> = {
  public: sql.fragment`chat_messages`,
  private: sql.fragment`private_messages`,
}

/** No question was asked of this transaction yet, so that both may still be set. */
export const begin = (statementMillis: number): QuerySqlToken => sql.unsafe`
  SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
  SET LOCAL statement_timeout = ${sql.literalValue(String(statementMillis))}`

/** One row `{ count }`. */
export const rowCount = (queue: QueueName): QuerySqlToken =>
  sql.unsafe`SELECT count(*) AS count FROM ${tables[queue]}`

/** One row as `QuarantineTotals`. */
export const quarantineTotals = (queue: QueueName): QuerySqlToken => sql.unsafe`
  SELECT
    count(*) FILTER (WHERE status = 'open') AS open,
    count(*) FILTER (WHERE status = 'replayed') AS replayed,
    count(*) FILTER (WHERE status = 'discarded') AS discarded
  FROM quarantined_messages WHERE queue = ${queue}`

/** Rows `{ message_id }`. */
export const storedIds = (queue: QueueName, messageIds: ReadonlyArray<string>): QuerySqlToken => sql.unsafe`
  SELECT message_id FROM ${tables[queue]}
  WHERE message_id = ANY (${ArrayLiteral.texts(messageIds)}::uuid[])`

/** Rows `{ message_id }`. */
export const deletedIds = (queue: QueueName, messageIds: ReadonlyArray<string>): QuerySqlToken => sql.unsafe`
  SELECT message_id FROM deleted_messages
  WHERE queue = ${queue} AND message_id = ANY (${ArrayLiteral.texts(messageIds)}::uuid[])`

/** Rows as `QuarantineDifference`, each with the `count` of all. */
export const quarantineDifferences = (queue: QueueName, limit: number): QuerySqlToken => sql.unsafe`
  SELECT id, held.status AS held, journalled.status AS journalled, count(*) OVER () AS count
  FROM (SELECT id, status FROM quarantined_messages WHERE queue = ${queue}) AS held
  FULL JOIN (
    SELECT
      (data ->> 'quarantine_id')::bigint AS id,
      CASE
        WHEN bool_or(type = 'QuarantineReplayed') THEN 'replayed'
        WHEN bool_or(type = 'QuarantineDiscarded') THEN 'discarded'
        ELSE 'open'
      END AS status
    FROM events
    WHERE type IN ('MessageQuarantined', 'QuarantineReplayed', 'QuarantineDiscarded')
      AND data ->> 'queue' = ${queue}
    GROUP BY 1
    HAVING bool_or(type = 'MessageQuarantined')
  ) AS journalled USING (id)
  WHERE held.status IS DISTINCT FROM journalled.status
  ORDER BY id LIMIT ${limit}`

/** Without a correlation, so that PostgreSQL makes one hash table of it. */
const isNotReplayed = sql.fragment`
  message_id::text NOT IN (
    SELECT data ->> 'message_id' FROM events
    WHERE type = 'QuarantineReplayed'
      AND data ->> 'message_id' IS NOT NULL
      AND data ->> 'added_row' IS DISTINCT FROM 'false'
  )`

/** Rows `{ count }`, in the order of the ranges. */
export const countRows = (queue: QueueName, ranges: ReadonlyArray<IdRange>): QuerySqlToken => sql.unsafe`
  SELECT (
    SELECT count(*) FROM ${tables[queue]}
    WHERE cache_id BETWEEN given.first AND given.last AND ${isNotReplayed}
  ) AS count
  FROM unnest(
    ${ArrayLiteral.integers(ranges.map(({ from }) => from))}::bigint[],
    ${ArrayLiteral.integers(ranges.map(({ to }) => to))}::bigint[]
  ) WITH ORDINALITY AS given (first, last, ordinal)
  ORDER BY ordinal`

/** Rows as `StoredRow`. A batch stores its rows in one transaction, and `persisted_at` is when that began. */
export const rowsWithin = (
  queue: QueueName,
  { from, to }: IdRange,
  limit: number,
): QuerySqlToken => sql.unsafe`
  SELECT message_id, cache_id
  FROM (
    SELECT id, message_id, cache_id, count(*) OVER (PARTITION BY persisted_at) AS together
    FROM ${tables[queue]}
    WHERE cache_id BETWEEN ${from} AND ${to} AND ${isNotReplayed}
  ) AS found
  ORDER BY together, id LIMIT ${limit}`

/** Rows `{ cache_id }`. */
export const missingWithin = (
  queue: QueueName,
  { from, to }: IdRange,
  limit: number,
): QuerySqlToken => sql.unsafe`
  SELECT given.cache_id
  FROM generate_series(${from}::bigint, ${to}::bigint) AS given (cache_id)
  WHERE NOT EXISTS (SELECT FROM ${tables[queue]} AS stored WHERE stored.cache_id = given.cache_id)
    AND NOT EXISTS (
      SELECT FROM quarantined_messages AS held WHERE held.queue = ${queue} AND held.cache_id = given.cache_id
    )
  ORDER BY 1 LIMIT ${limit}`
