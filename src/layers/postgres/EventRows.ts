import { type QuerySqlToken, sql } from "slonik"
import type { Event } from "../../domain/Event.ts"
import { eventData, eventTypes } from "../eventData.ts"
import * as ArrayLiteral from "./ArrayLiteral.ts"
import { rfc3339 } from "./Rfc3339.ts"

export const insert = (events: ReadonlyArray<Event>): QuerySqlToken =>
  sql.unsafe`
    INSERT INTO events (type, data)
    SELECT type, data
    FROM unnest(
      ${ArrayLiteral.texts(events.map(({ _tag }) => _tag))}::text[],
      ${ArrayLiteral.texts(events.map((event) => JSON.stringify(eventData(event))))}::jsonb[]
    ) WITH ORDINALITY AS given (type, data, ordinal)
    ORDER BY ordinal`

/** Rows as `EventRow`, of the types that this version knows: what a newer one has recorded is left to it. */
export const select = (after: number, limit: number): QuerySqlToken =>
  sql.unsafe`
    SELECT position, type, data, ${rfc3339("recorded_at")} AS recorded_at
    FROM events WHERE position > ${after} AND type = ANY (${ArrayLiteral.texts(eventTypes)}::text[])
    ORDER BY position LIMIT ${limit}`
