/**
 * `COPY … FROM STDIN`, the fastest way into a table: PostgreSQL reads lines instead of planning a statement. Slonik does
 * not know it, so here it is a statement whose one value is what PostgreSQL reads.
 */
import { finished } from "node:stream/promises"
import type { ClientBase } from "pg"
import { from } from "pg-copy-streams"
import { type FragmentSqlToken, type QuerySqlToken, sql } from "slonik"

/** @param target a table with its columns in brackets, whose values stand in each line in the same order */
export const statement = (target: FragmentSqlToken, lines: string): QuerySqlToken => ({
  ...sql.unsafe`COPY ${target} FROM STDIN`,
  values: [Buffer.from(lines)],
})

/** The statement and one without values before it, in one round trip. */
export const after = (before: QuerySqlToken, copy: QuerySqlToken): QuerySqlToken => ({
  ...copy,
  sql: `${before.sql}; ${copy.sql}`,
})

export const isCopy = (text: string): boolean => text.endsWith(" FROM STDIN")

/** Returns the number of rows. */
export const run = async (client: ClientBase, text: string, lines: unknown): Promise<number> => {
  const stream = client.query(from(text))
  stream.end(lines)
  await finished(stream)
  return stream.rowCount
}

const special = /[\\\t\n\r]/
const specials = /[\\\t\n\r]/g
const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" }

/** A value as it stands in a line, between tabs. */
export const escape = (value: string): string =>
  special.test(value) ? value.replace(specials, (character) => escapes[character]!) : value

/**
 * The number of the line that PostgreSQL names, from 1 on: `COPY chat_messages, line 5`, in whatever language.
 *
 * @param where the context of an error
 */
export const lineIn = (where: string | undefined): number | undefined => {
  const line = /\bCOPY\D+(\d+)/.exec(where ?? "")?.[1]
  return line === undefined ? undefined : Number(line)
}
