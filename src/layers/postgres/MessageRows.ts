import { type FragmentSqlToken, type QuerySqlToken, sql } from "slonik"
import { type CachedMessage, highestCountedCacheId, type QueueName } from "../../domain/Message.ts"
import * as ArrayLiteral from "./ArrayLiteral.ts"
import * as Copy from "./Copy.ts"

interface Table {
  readonly name: FragmentSqlToken
  /** The name as a text. */
  readonly literal: FragmentSqlToken
  /** What a deletion notes of a message, to know whose recent caches show it. */
  readonly audience: { readonly columns: FragmentSqlToken; readonly array: FragmentSqlToken }
  /**
   * What makes up the content of a message, with the types of the table. Its time is not part of it: whoever sends a
   * message again may have left the time out, and then it is filled in anew.
   */
  readonly content: ReadonlyArray<{ readonly column: string; readonly type: FragmentSqlToken }>
}

const characters = (column: string, maximum: 24 | 36 | 64) => ({
  column,
  type: { 24: sql.fragment`varchar(24)`, 36: sql.fragment`varchar(36)`, 64: sql.fragment`varchar(64)` }[
    maximum
  ],
})
const text = (column: string) => ({ column, type: sql.fragment`text` })

const tables: Readonly<Record<QueueName, Table>> = {
  public: {
    name: sql.fragment`chat_messages`,
    literal: sql.fragment`'chat_messages'`,
    audience: { columns: sql.fragment`channel`, array: sql.fragment`ARRAY[channel]` },
    content: [
      characters("owner_id", 36),
      characters("username", 64),
      characters("channel", 24),
      text("message"),
    ],
  },
  private: {
    name: sql.fragment`private_messages`,
    literal: sql.fragment`'private_messages'`,
    audience: {
      columns: sql.fragment`owner_id, recipient_id`,
      array: sql.fragment`ARRAY[owner_id, recipient_id]`,
    },
    content: [
      characters("owner_id", 36),
      characters("username", 64),
      characters("recipient_id", 36),
      characters("recipient", 64),
      text("message"),
    ],
  },
}

const comma = sql.fragment`, `

const columnsOf = ({ content }: Table): FragmentSqlToken =>
  sql.fragment`${sql.join(
    content.map(({ column }) => sql.identifier([column])),
    comma,
  )}`

const valueOf = (message: CachedMessage, column: string): string =>
  (message as unknown as Readonly<Record<string, string>>)[column]!

/**
 * Of messages of which none is stored or deleted: it is refused as a whole where one is stored. It costs PostgreSQL a
 * fifth less than an INSERT that passes over nothing, and that one a fifth less than `insert`.
 */
export const copy = (queue: QueueName, messages: ReadonlyArray<CachedMessage>): QuerySqlToken => {
  const table = tables[queue]
  const columns = table.content.map(({ column }) => column)
  let lines = ""
  for (const message of messages) {
    lines += `${message.message_id}\t${message.cache_id}\t`
    for (const column of columns) lines += `${Copy.escape(valueOf(message, column))}\t`
    lines += `${message.authored_at}\n`
  }
  return Copy.statement(
    sql.fragment`${table.name} (message_id, cache_id, ${columnsOf(table)}, authored_at)`,
    lines,
  )
}

/** The messages as rows `given`. Each value is bound once per statement and column, as an array. */
const given = (table: Table, messages: ReadonlyArray<CachedMessage>): FragmentSqlToken => {
  const valuesOf = (column: string) => ArrayLiteral.texts(messages.map((message) => valueOf(message, column)))
  // Bound as text and not as varchar(n): a cast would cut what is too long, where an assignment refuses it.
  return sql.fragment`
    unnest(
      ${valuesOf("message_id")}::uuid[],
      ${ArrayLiteral.integers(messages.map(({ cache_id }) => cache_id))}::bigint[],
      ${sql.join(
        table.content.map(({ column }) => sql.fragment`${valuesOf(column)}::text[]`),
        comma,
      )},
      ${valuesOf("authored_at")}::timestamptz[]
    ) WITH ORDINALITY AS given (message_id, cache_id, ${columnsOf(table)}, authored_at, ordinal)`
}

/** Passes over the messages that are stored or deleted. */
export const insert = (queue: QueueName, messages: ReadonlyArray<CachedMessage>): QuerySqlToken => {
  const table = tables[queue]
  const columns = columnsOf(table)
  return sql.unsafe`
      INSERT INTO ${table.name} (message_id, cache_id, ${columns}, authored_at)
      SELECT message_id, cache_id, ${columns}, authored_at FROM ${given(table, messages)}
      WHERE NOT EXISTS (
        SELECT FROM deleted_messages AS deleted
        WHERE deleted.queue = ${queue} AND deleted.message_id = given.message_id
      )
      ORDER BY ordinal
      ON CONFLICT (message_id) DO NOTHING`
}

/** Rows `{ ordinal, is_missing, is_deleted }`, by ordinal from 1, of the messages that are not stored as they are given. */
export const compare = (queue: QueueName, messages: ReadonlyArray<CachedMessage>): QuerySqlToken => {
  const table = tables[queue]
  return sql.unsafe`
      SELECT given.ordinal, stored.message_id IS NULL AS is_missing, deleted.message_id IS NOT NULL AS is_deleted
      FROM ${given(table, messages)}
      LEFT JOIN ${table.name} AS stored ON stored.message_id = given.message_id
      LEFT JOIN deleted_messages AS deleted ON deleted.queue = ${queue} AND deleted.message_id = given.message_id
      WHERE stored.message_id IS NULL
        OR (${sql.join(
          table.content.map(({ column }) => sql.identifier(["stored", column])),
          comma,
        )}) IS DISTINCT FROM (${sql.join(
          table.content.map(
            ({ column, type }) => sql.fragment`${sql.identifier(["given", column])}::${type}`,
          ),
          comma,
        )})
      ORDER BY given.ordinal`
}

/**
 * Rows `{ ordinal, message_id }`, by ordinal from 1, of the messages that are stored with the same content and time,
 * under their own id rather than under another one.
 */
export const twins = (
  queue: QueueName,
  messages: ReadonlyArray<CachedMessage>,
  sameCacheId: boolean,
): QuerySqlToken => {
  const table = tables[queue]
  return sql.unsafe`
      SELECT given.ordinal, (array_agg(
        stored.message_id::text ORDER BY stored.message_id = given.message_id DESC, stored.message_id
      ))[1] AS message_id
      FROM ${given(table, messages)} JOIN ${table.name} AS stored ON ${
        sameCacheId
          ? sql.fragment`stored.cache_id = given.cache_id
              AND stored.authored_at > given.authored_at - interval '1 second'
              AND stored.authored_at < given.authored_at + interval '1 second'`
          : sql.fragment`stored.authored_at = given.authored_at`
      }
        AND (${sql.join(
          table.content.map(({ column }) => sql.identifier(["stored", column])),
          comma,
        )}) = (${sql.join(
          table.content.map(({ column }) => sql.identifier(["given", column])),
          comma,
        )})
      GROUP BY given.ordinal`
}

/** No row. The first half of the lock's key is the one of all locks of chat-cache, the second is the table. */
export const lock = (queue: QueueName): QuerySqlToken =>
  sql.unsafe`SELECT pg_advisory_xact_lock(1667785076, ${tables[queue].literal}::regclass::oid::int4)`

export interface Circumstances {
  /** Whether a message of this queue was ever deleted. */
  readonly has_deletions: boolean
  /** Whether policies of the table hold for this user. Then PostgreSQL refuses COPY. */
  readonly has_row_security: boolean
}

/**
 * One row, `Circumstances`, which stay as they are until the end of the transaction.
 *
 * Insertions share this lock and a deletion has it alone: without it, an insertion that began before a deletion could
 * commit after it. It is its own statement, because a statement does not see what was committed while it waited. The key
 * is the one of `lock` with the table negated.
 */
export const lockAgainstDeletion = (queue: QueueName): QuerySqlToken => {
  const { literal } = tables[queue]
  return sql.unsafe`
    SELECT pg_advisory_xact_lock_shared(1667785076, -(${literal}::regclass::oid::int4));
    SELECT EXISTS (SELECT FROM deleted_messages WHERE queue = ${sql.literalValue(queue)}) AS has_deletions,
      row_security_active(${literal}::regclass::oid) AS has_row_security`
}

/** One row `{ is_deleted }`: whether any of these messages was deleted. */
export const isAnyDeleted = (queue: QueueName, messages: ReadonlyArray<CachedMessage>): QuerySqlToken =>
  sql.unsafe`
    SELECT EXISTS (
      SELECT FROM deleted_messages
      WHERE queue = ${queue}
        AND message_id = ANY (${ArrayLiteral.texts(messages.map(({ message_id }) => message_id))}::uuid[])
    ) AS is_deleted`

export const lockForDeletion = (queue: QueueName): QuerySqlToken =>
  sql.unsafe`SELECT pg_advisory_xact_lock(1667785076, -(${tables[queue].literal}::regclass::oid::int4))`

/** One row `{ is_new, shown_to }`. Of a message that was deleted before, that is whose were noted then. */
export const remove = (queue: QueueName, messageId: string): QuerySqlToken => {
  const { name, audience } = tables[queue]
  return sql.unsafe`
    WITH removed AS (
      DELETE FROM ${name} WHERE message_id = ${messageId} RETURNING ${audience.columns}
    ), noted AS (
      INSERT INTO deleted_messages (queue, message_id, ${audience.columns})
      SELECT ${queue}::text, ${messageId}::uuid, ${audience.columns}
      FROM (VALUES (1)) AS one LEFT JOIN removed ON true
      ON CONFLICT DO NOTHING
      RETURNING ${audience.columns}
    ), deleted AS (
      SELECT true AS is_new, ${audience.columns} FROM noted
      UNION ALL
      SELECT false, ${audience.columns} FROM deleted_messages
      WHERE queue = ${queue} AND message_id = ${messageId}
    )
    SELECT is_new, array_remove(${audience.array}::text[], NULL) AS shown_to FROM deleted`
}

/** Of the ids that counters give. `NULL` when there is none. */
export const greatestCacheId = (queue: QueueName): FragmentSqlToken =>
  sql.fragment`(SELECT max(cache_id) FROM ${tables[queue].name} WHERE cache_id <= ${sql.literalValue(String(highestCountedCacheId))})`
