import { Either } from "effect"
import { RowsRefused } from "../../domain/Errors.ts"
import type { CachedMessage } from "../../domain/Message.ts"
import { characterCount } from "../../domain/Text.ts"
import { timestampProblem } from "../../domain/Timestamp.ts"

const maximumCharacters: Readonly<Record<string, number>> = {
  owner_id: 36,
  username: 64,
  channel: 24,
  recipient_id: 36,
  recipient: 64,
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

const refuse = (sqlstate: string, reason: string) => Either.left(new RowsRefused({ sqlstate, reason }))

/** `varchar(n)` refuses what is too long, unless all that is too much is spaces: it cuts those. */
const columnValue = (column: string, value: string): Either.Either<string, RowsRefused> => {
  if (value.includes("\u0000")) {
    return refuse("22021", "a text contains a character that PostgreSQL cannot store")
  }
  const maximum = maximumCharacters[column] ?? Number.POSITIVE_INFINITY
  if (characterCount(value) <= maximum) return Either.right(value.toWellFormed())
  const characters = Array.from(value.toWellFormed())
  return characters.slice(maximum).every((character) => character === " ")
    ? Either.right(characters.slice(0, maximum).join(""))
    : refuse("22001", "a text is longer than its column allows")
}

/** The message as its table would hold it. Stricter than PostgreSQL, which knows more ways to write ids and times. */
export const rowOf = (message: CachedMessage): Either.Either<CachedMessage, RowsRefused> => {
  if (!uuid.test(message.message_id) || !Number.isSafeInteger(message.cache_id)) {
    return refuse("22P02", "a text is not a value of its column's type")
  }
  if (timestampProblem(message.authored_at) !== undefined) {
    return refuse("22007", "a text is not a timestamp")
  }
  const row: Record<string, string | number> = { ...message, message_id: message.message_id.toLowerCase() }
  for (const [column, value] of Object.entries(row)) {
    if (typeof value !== "string") continue
    const stored = columnValue(column, value)
    if (Either.isLeft(stored)) return Either.left(stored.left)
    row[column] = stored.right
  }
  return Either.right(row as unknown as CachedMessage)
}

/** Whether two rows say the same. When it was sent, and where the cache had it, is not what a message says. */
export const isSameContent = (one: CachedMessage, other: CachedMessage): boolean => {
  const { cache_id: _, authored_at: __, ...content } = one
  const rest = other as unknown as Readonly<Record<string, unknown>>
  return Object.entries(content).every(([column, value]) => rest[column] === value)
}
