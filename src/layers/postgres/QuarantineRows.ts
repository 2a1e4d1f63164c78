import { type FragmentSqlToken, type QuerySqlToken, sql } from "slonik"
import { highestCountedCacheId, type QueueName } from "../../domain/Message.ts"
import type { NewQuarantineEntry, QuarantineEntry } from "../../domain/Quarantine.ts"
import type { QuarantineFilter } from "../../services/MessageStore.ts"
import { toStorable } from "../toStorable.ts"
import * as ArrayLiteral from "./ArrayLiteral.ts"
import { rfc3339 } from "./Rfc3339.ts"

export type Row = Omit<QuarantineEntry, "raw"> & { readonly raw: Buffer }

/** A copy of the bytes: pg hands out a view of a buffer that it got from the network. */
export const entryOf = (row: Row): QuarantineEntry => ({ ...row, raw: Uint8Array.from(row.raw) })

const columns = sql.fragment`
  id, queue, cache_id, reason, sqlstate, error, raw, status,
  ${rfc3339("quarantined_at")} AS quarantined_at, ${rfc3339("resolved_at")} AS resolved_at`

/** Rows `{ id, digest }` of the entries that were added: `digest` is the SHA-256 of the bytes in hex. */
export const insert = (queue: QueueName, entries: ReadonlyArray<NewQuarantineEntry>): QuerySqlToken =>
  sql.unsafe`
    INSERT INTO quarantined_messages (queue, cache_id, reason, sqlstate, error, raw)
    SELECT ${queue}::text, cache_id, reason, sqlstate, error, raw
    FROM unnest(
      ${ArrayLiteral.integers(entries.map(({ cacheId }) => cacheId))}::bigint[],
      ${ArrayLiteral.texts(entries.map(({ reason }) => reason))}::text[],
      ${ArrayLiteral.texts(entries.map(({ sqlstate }) => sqlstate))}::text[],
      ${ArrayLiteral.texts(entries.map(({ error }) => toStorable(error)))}::text[],
      ${ArrayLiteral.bytes(entries.map(({ raw }) => raw))}::bytea[]
    ) WITH ORDINALITY AS given (cache_id, reason, sqlstate, error, raw, ordinal)
    ORDER BY ordinal
    ON CONFLICT (queue, sha256(raw)) DO NOTHING
    RETURNING id, encode(sha256(raw), 'hex') AS digest`

/** Rows `{ raw }`. */
export const selectBytes = (queue: QueueName, cacheIds: ReadonlyArray<number>): QuerySqlToken =>
  sql.unsafe`
    SELECT raw FROM quarantined_messages
    WHERE queue = ${queue} AND cache_id = ANY(${ArrayLiteral.integers(cacheIds)}::bigint[])`

export const select = (filter: QuarantineFilter): QuerySqlToken =>
  sql.unsafe`
    SELECT ${columns} FROM quarantined_messages
    WHERE ${sql.and([
      filter.queue !== undefined && sql.fragment`queue = ${filter.queue}`,
      filter.status !== undefined && sql.fragment`status = ${filter.status}`,
      filter.after !== undefined && sql.fragment`id > ${filter.after}`,
    ])}
    ORDER BY id LIMIT ${filter.limit}`

export const selectOpen = (
  queue: QueueName,
  page: { readonly after: number; readonly limit: number; readonly maximumBytes: number },
): QuerySqlToken =>
  sql.unsafe`
    SELECT ${columns} FROM quarantined_messages
    WHERE queue = ${queue} AND status = 'open' AND id > ${page.after} AND length(raw) <= ${page.maximumBytes}
    ORDER BY id LIMIT ${page.limit}`

/** One row or none. */
export const selectOne = (id: number): QuerySqlToken =>
  sql.unsafe`SELECT ${columns} FROM quarantined_messages WHERE id = ${id}`

export const lockOne = (id: number): QuerySqlToken =>
  sql.unsafe`SELECT ${columns} FROM quarantined_messages WHERE id = ${id} FOR UPDATE`

export const resolve = (id: number, status: "replayed" | "discarded"): QuerySqlToken =>
  sql.unsafe`UPDATE quarantined_messages SET status = ${status}, resolved_at = now() WHERE id = ${id}`

/** Of the ids that counters give. `NULL` when there is none. */
export const greatestCacheId = (queue: QueueName): FragmentSqlToken =>
  sql.fragment`(SELECT max(cache_id) FROM quarantined_messages 
    WHERE queue = ${sql.literalValue(queue)} AND cache_id <= ${sql.literalValue(String(highestCountedCacheId))})`
