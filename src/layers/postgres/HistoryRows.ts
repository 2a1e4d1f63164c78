import { type FragmentSqlToken, type QuerySqlToken, sql } from "slonik"
import type { Direction, HistoryRange, HistoryScope } from "../../domain/History.ts"
import type { CachedMessage } from "../../domain/Message.ts"
import * as ArrayLiteral from "./ArrayLiteral.ts"
import { rfc3339 } from "./Rfc3339.ts"

const tables = {
  public: {
    name: sql.fragment`chat_messages`,
    columns: sql.fragment`owner_id, username, channel, message`,
    nulls: sql.fragment`NULL, NULL, NULL, NULL`,
  },
  private: {
    name: sql.fragment`private_messages`,
    columns: sql.fragment`owner_id, username, recipient_id, recipient, message`,
    nulls: sql.fragment`NULL, NULL, NULL, NULL, NULL`,
  },
}

/** Where a range without a beginning of its own begins. */
const ends: Readonly<Record<Direction, string>> = { before: "9223372036854775807", after: "0" }

/** Whose messages a scope is about: each of these columns goes with an index on it and `cache_id`. */
const columnsOf = (scope: HistoryScope): ReadonlyArray<readonly [column: string, value: string]> => {
  if (scope.queue === "private") {
    const { userId } = scope
    return [
      ["owner_id", userId],
      ["recipient_id", userId],
    ]
  }
  return scope.channel === undefined ? [] : [["channel", scope.channel]]
}

const ordered = (columns: ReadonlyArray<FragmentSqlToken>, direction: Direction) =>
  sql.join(
    columns.map((column) => (direction === "before" ? sql.fragment`${column} DESC` : column)),
    sql.fragment`, `,
  )

const cacheId = sql.fragment`cache_id`
const messageId = sql.fragment`message_id`

const beyond = ({ direction, from }: HistoryRange): FragmentSqlToken => {
  if (from === undefined) return sql.fragment`true`
  const { cache_id, message_id } = from
  return direction === "before"
    ? sql.fragment`cache_id <= ${cache_id} AND (cache_id, message_id) < (${cache_id}, ${message_id}::uuid)`
    : sql.fragment`cache_id >= ${cache_id} AND (cache_id, message_id) > (${cache_id}, ${message_id}::uuid)`
}

/**
 * An equation and an order that leaves the column out would mean the same. But then PostgreSQL takes the index on
 * `cache_id` alone and passes over everybody else's messages, of which there may be any number.
 */
const nearest = (
  { name, columns }: (typeof tables)[keyof typeof tables],
  [column, value]: readonly [string, string],
  range: HistoryRange,
  limit: number,
): FragmentSqlToken => {
  const named = sql.identifier([column])
  const place = range.from?.cache_id ?? ends[range.direction]
  const where =
    range.direction === "before"
      ? sql.fragment`(${named}, cache_id) <= (${value}, ${place}::bigint) AND ${named} >= ${value}`
      : sql.fragment`(${named}, cache_id) >= (${value}, ${place}::bigint) AND ${named} <= ${value}`
  return sql.fragment`
    (SELECT message_id, cache_id, ${columns}, authored_at FROM ${name}
     WHERE ${where} AND ${beyond(range)}
     ORDER BY ${ordered([sql.fragment`${named}`, cacheId, messageId], range.direction)} LIMIT ${limit})`
}

/** A message that is stored, or, where all but `message_id` is null, a queued one that is stored or deleted. */
export type Row = CachedMessage & { readonly is_settled: boolean }

/** Rows of the range, in no order, and one more for each queued id that is stored or deleted: all of one moment. */
export const select = (
  scope: HistoryScope,
  range: HistoryRange,
  limit: number,
  queuedIds: ReadonlyArray<string>,
): QuerySqlToken => {
  const { name, columns, nulls } = tables[scope.queue]
  const order = sql.fragment`ORDER BY ${ordered([cacheId, messageId], range.direction)}`
  const parts = columnsOf(scope).map((column) => nearest(tables[scope.queue], column, range, limit))
  // A message to oneself is found twice.
  const found =
    parts.length === 0
      ? sql.fragment`SELECT message_id, cache_id, ${columns}, authored_at FROM ${name} WHERE ${beyond(range)}`
      : sql.join(parts, sql.fragment` UNION `)
  const page = sql.fragment`
    SELECT cache_id, message_id, ${columns}, ${rfc3339("authored_at")} AS authored_at, false AS is_settled
    FROM (
      SELECT * FROM (${found}) AS found ${order} LIMIT ${limit}
    ) AS page`
  if (queuedIds.length === 0) return sql.unsafe`${page}`
  const ids = sql.fragment`${ArrayLiteral.texts(queuedIds)}::uuid[]`
  return sql.unsafe`
    ${page}
    UNION ALL
    SELECT NULL, message_id, ${nulls}, NULL, true FROM ${name} WHERE message_id = ANY(${ids})
    UNION ALL
    SELECT NULL, message_id, ${nulls}, NULL, true FROM deleted_messages
    WHERE queue = ${scope.queue} AND message_id = ANY(${ids})`
}

/** Times are answered as this program writes them: to the millisecond, unless they are finer. */
export const messageOf = ({ is_settled: _isSettled, ...row }: Row): CachedMessage => ({
  ...row,
  authored_at: row.authored_at.replace(/000Z$/, "Z"),
})
