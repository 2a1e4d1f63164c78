/**
 * A quick answer for the entries that certainly are messages, which are nearly all: decoding by schema costs five times
 * as much, and would be the most expensive step of a flush. The schemas in `Message.ts` are the definition. What is
 * taken here they take as well, with the same result; whatever is not goes to them.
 */
import type { CachedPrivateMessage, CachedPublicMessage } from "./Message.ts"
import { isPlainText } from "./PlainDraft.ts"
import { timestampProblem } from "./Timestamp.ts"

const lowerCaseUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

let lastTimestamp = ""

/** Many messages in a row are of the same millisecond, and judging its text is not cheap. */
const isTimestamp = (value: unknown): value is string => {
  if (typeof value !== "string") return false
  if (value === lastTimestamp) return true
  if (timestampProblem(value) !== undefined) return false
  lastTimestamp = value
  return true
}

interface PlainEntry<Data> {
  readonly cache_id: number
  readonly data: Data
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** What both kinds of messages have. */
const plainEntry = (value: unknown): PlainEntry<Readonly<Record<string, unknown>>> | undefined => {
  if (!isObject(value)) return undefined
  const { cache_id, data } = value
  return Number.isSafeInteger(cache_id) &&
    (cache_id as number) >= 0 &&
    isObject(data) &&
    typeof data["message_id"] === "string" &&
    lowerCaseUuid.test(data["message_id"]) &&
    isPlainText(data["owner_id"], 36) &&
    isPlainText(data["username"], 64) &&
    isPlainText(data["message"], Number.MAX_SAFE_INTEGER) &&
    isTimestamp(data["authored_at"])
    ? { cache_id: cache_id as number, data }
    : undefined
}

/** @param value what `JSON.parse` made of an entry */
export const plainPublicEntry = (value: unknown): CachedPublicMessage | undefined => {
  const entry = plainEntry(value)
  if (entry === undefined || !isPlainText(entry.data["channel"], 24)) return undefined
  const { message_id, owner_id, username, channel, message, authored_at } =
    entry.data as unknown as CachedPublicMessage
  return { cache_id: entry.cache_id, message_id, owner_id, username, channel, message, authored_at }
}

/** @param value what `JSON.parse` made of an entry */
export const plainPrivateEntry = (value: unknown): CachedPrivateMessage | undefined => {
  const entry = plainEntry(value)
  if (entry === undefined) return undefined
  if (!isPlainText(entry.data["recipient_id"], 36) || !isPlainText(entry.data["recipient"], 64))
    return undefined
  const { message_id, owner_id, username, recipient_id, recipient, message, authored_at } =
    entry.data as unknown as CachedPrivateMessage
  return {
    cache_id: entry.cache_id,
    message_id,
    owner_id,
    username,
    recipient_id,
    recipient,
    message,
    authored_at,
  }
}
