import { type FragmentSqlToken, sql } from "slonik"

/** A column of type timestamptz as RFC 3339 in UTC with microseconds, whatever the session's time zone is. */
export const rfc3339 = (column: string): FragmentSqlToken =>
  sql.fragment`to_char(${sql.identifier([column])} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
