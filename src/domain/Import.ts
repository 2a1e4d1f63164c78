/** Taking over the rows of a predecessor: which column is what, and which message a row is. */
import { Schema } from "effect"
import { v5 as uuidV5 } from "uuid"
import type { CachedMessage, QueueName } from "./Message.ts"

/** The tables cannot be read as messages. */
export class ImportImpossible extends Schema.TaggedError<ImportImpossible>()("ImportImpossible", {
  reason: Schema.String,
}) {
  override get message(): string {
    return `Nothing can be imported: ${this.reason}.`
  }
}

/** Our fields, and what others call them. The first name that a table has is taken. */
const aliases: Readonly<Record<string, ReadonlyArray<string>>> = {
  owner_id: ["owner_id", "user_id", "sender_id", "author_id", "from_id"],
  username: ["username", "user_name", "owner_name", "sender_name", "author_name", "sender", "author"],
  channel: ["channel", "channel_name", "channel_id", "room"],
  recipient_id: ["recipient_id", "receiver_id", "to_user_id", "to_id"],
  recipient: ["recipient", "recipient_name", "recipient_username", "receiver_name", "receiver"],
  message: ["message", "message_text", "text", "body", "content"],
  authored_at: ["authored_at", "created_at", "sent_at", "timestamp", "time"],
}

export const fieldsOf: Readonly<Record<QueueName, ReadonlyArray<string>>> = {
  public: ["owner_id", "username", "channel", "message", "authored_at"],
  private: ["owner_id", "username", "recipient_id", "recipient", "message", "authored_at"],
}

/** Also `ownerId` and `OwnerID`, as other languages write them. */
const normalised = (name: string): string => name.toLowerCase().replaceAll("_", "")

const find = (columns: ReadonlyArray<string>, names: ReadonlyArray<string>): string | undefined =>
  names
    .map((name) => columns.find((column) => normalised(column) === normalised(name)))
    .find((column) => column !== undefined)

export interface ColumnMapping {
  /** The column of each of our fields. */
  readonly fields: Readonly<Record<string, string>>
  readonly cacheId: string | undefined
  readonly messageId: string | undefined
  /** Fields without a column. */
  readonly missing: ReadonlyArray<string>
}

/** @param chosen columns that were named by hand, by field */
export const mapColumns = (
  queue: QueueName,
  columns: ReadonlyArray<string>,
  chosen: Readonly<Record<string, string>>,
): ColumnMapping => {
  const columnOf = (field: string) => {
    const named = chosen[field]
    if (named === undefined) return find(columns, aliases[field] ?? [field])
    return columns.includes(named) ? named : undefined
  }
  const found = fieldsOf[queue].map((field) => [field, columnOf(field)] as const)
  return {
    fields: Object.fromEntries(found.filter((pair): pair is [string, string] => pair[1] !== undefined)),
    cacheId: columnOf("cache_id"),
    messageId: columnOf("message_id"),
    missing: found.filter(([, column]) => column === undefined).map(([field]) => field),
  }
}

/** The namespace of the ids derived for rows that have none. */
const importNamespace = "6f1b7c0a-52d4-5b0e-8c3e-0b8a4a7d9e21"

/** The id of a row that has none: the same at each import. */
export const importedMessageId = (table: string, key: string): string =>
  uuidV5(JSON.stringify([table, key]), importNamespace)

/** What two records of one message have in common, wherever they come from. */
export const contentKey = (message: CachedMessage, withCacheId: boolean): string =>
  JSON.stringify([
    withCacheId ? message.cache_id : null,
    message.owner_id,
    message.username,
    "channel" in message ? message.channel : [message.recipient_id, message.recipient],
    message.message,
  ])

/**
 * How far apart the times of two records may be. Programs write them with different precision. Without a common id only
 * rounding is allowed for: people say the same thing twice within a second.
 */
export const toleranceMillis = (withCacheId: boolean): number => (withCacheId ? 999 : 1)
