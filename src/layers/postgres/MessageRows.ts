import { type FragmentSqlToken, type QuerySqlToken, sql } from "slonik"
import { type CachedMessage, highestCountedCacheId, type QueueName } from "../../domain/Message.ts"
import * as ArrayLiteral from "./ArrayLiteral.ts"

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

export interface Batch {
  /**
   * Of messages of which none is stored: it is refused as a whole where one is, and otherwise costs PostgreSQL a fifth less
   * than `insert`.
   */
  readonly insertNew: QuerySqlToken
  /** Passes over the messages that are stored. */
  readonly insert: QuerySqlToken
  /** Rows `{ ordinal, is_missing, is_deleted }`, by ordinal from 1, of the messages that are not stored as they are given. */
  readonly compare: QuerySqlToken
  /**
   * Rows `{ ordinal, message_id }`, by ordinal from 1, of the messages that are stored with the same content and time,
   * under their own id rather than under another one.
   */
  readonly twins: (sameCacheId: boolean) => QuerySqlToken
}

/** The statements for a batch. Each value is bound once per statement and column, as an array. */
export const batch = (queue: QueueName, messages: ReadonlyArray<CachedMessage>): Batch => {
  const { name, content } = tables[queue]
  const columns = sql.join(
    content.map(({ column }) => sql.identifier([column])),
    comma,
  )
  const valuesOf = (column: string) =>
    ArrayLiteral.texts(
      messages.map((message) => (message as unknown as Readonly<Record<string, string>>)[column]!),
    )
  // Bound as text and not as varchar(n): a cast would cut what is too long, where an assignment refuses it.
  const given = sql.fragment`
    unnest(
      ${valuesOf("message_id")}::uuid[],
      ${ArrayLiteral.integers(messages.map(({ cache_id }) => cache_id))}::bigint[],
      ${sql.join(
        content.map(({ column }) => sql.fragment`${valuesOf(column)}::text[]`),
        comma,
      )},
      ${valuesOf("authored_at")}::timestamptz[]
    ) WITH ORDINALITY AS given (message_id, cache_id, ${columns}, authored_at, ordinal)`
  const insertNew = sql.unsafe`
      INSERT INTO ${name} (message_id, cache_id, ${columns}, authored_at)
      SELECT message_id, cache_id, ${columns}, authored_at FROM ${given}
      WHERE NOT EXISTS (
        SELECT FROM deleted_messages AS deleted
        WHERE deleted.queue = ${queue} AND deleted.message_id = given.message_id
      )
      ORDER BY ordinal`
  return {
    insertNew,
    insert: sql.unsafe`${insertNew} ON CONFLICT (message_id) DO NOTHING`,
    compare: sql.unsafe`
      SELECT given.ordinal, stored.message_id IS NULL AS is_missing, deleted.message_id IS NOT NULL AS is_deleted
      FROM ${given}
      LEFT JOIN ${name} AS stored ON stored.message_id = given.message_id
      LEFT JOIN deleted_messages AS deleted ON deleted.queue = ${queue} AND deleted.message_id = given.message_id
      WHERE stored.message_id IS NULL
        OR (${sql.join(
          content.map(({ column }) => sql.identifier(["stored", column])),
          comma,
        )}) IS DISTINCT FROM (${sql.join(
          content.map(({ column, type }) => sql.fragment`${sql.identifier(["given", column])}::${type}`),
          comma,
        )})
      ORDER BY given.ordinal`,
    twins: (sameCacheId) => sql.unsafe`
      SELECT given.ordinal, (array_agg(
        stored.message_id::text ORDER BY stored.message_id = given.message_id DESC, stored.message_id
      ))[1] AS message_id
      FROM ${given} JOIN ${name} AS stored ON ${
        sameCacheId
          ? sql.fragment`stored.cache_id = given.cache_id
              AND stored.authored_at > given.authored_at - interval '1 second'
              AND stored.authored_at < given.authored_at + interval '1 second'`
          : sql.fragment`stored.authored_at = given.authored_at`
      }
        AND (${sql.join(
          content.map(({ column }) => sql.identifier(["stored", column])),
          comma,
        )}) = (${sql.join(
          content.map(({ column }) => sql.identifier(["given", column])),
          comma,
        )})
      GROUP BY given.ordinal`,
  }
}

/** No row. The first half of the lock's key is the one of all locks of chat-cache, the second is the table. */
export const lock = (queue: QueueName): QuerySqlToken =>
  sql.unsafe`SELECT pg_advisory_xact_lock(1667785076, ${tables[queue].literal}::regclass::oid::int4)`

/**
 * No row. Insertions share this lock and a deletion has it alone: without it, an insertion that began before a deletion
 * could commit after it. It is its own statement, because a statement does not see what was committed while it waited.
 * The key is the one of `lock` with the table negated.
 */
export const lockAgainstDeletion = (queue: QueueName): QuerySqlToken =>
  sql.unsafe`SELECT pg_advisory_xact_lock_shared(1667785076, -(${tables[queue].literal}::regclass::oid::int4))`

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
  sql.fragment`(SELECT max(cache_id) FROM ${tables[queue].name} WHERE cache_id <= ${highestCountedCacheId})`
