import { Either } from "effect"
import { decodeEntry, type Entry } from "./Entry.ts"
import type { UndecodableEntry } from "./Errors.ts"
import type { CachedMessage, CachedPrivateMessage, CachedPublicMessage, QueueName } from "./Message.ts"

/** Whose recent caches show the message, beside that of all public ones: its channel, or its author and recipient. */
export const shownTo = (message: CachedMessage): ReadonlyArray<string> =>
  "recipient_id" in message ? [message.owner_id, message.recipient_id] : [message.channel]

/** What a recent cache holds. */
export interface RecentEntries {
  /** Oldest first. */
  readonly entries: ReadonlyArray<Entry>
  /** Ids of messages that were deleted and may stand in the cache all the same. */
  readonly deleted: ReadonlySet<string>
}

export interface RecentMessages<Message> {
  /** Oldest first. */
  readonly messages: ReadonlyArray<Message>
  /** Entries that are not messages and were passed over. */
  readonly skipped: ReadonlyArray<UndecodableEntry>
}

/**
 * The newest `limit` messages of a recent cache. A message that was sent again after an unknown outcome stands in
 * the cache twice and is shown once, in its first place. One that was
 * deleted is not shown.
 */
const newest = (
  queue: QueueName,
  { entries, deleted }: RecentEntries,
  limit: number,
): RecentMessages<CachedMessage> => {
  const skipped: Array<UndecodableEntry> = []
  const messages = new Map<string, CachedMessage>()
  for (const entry of entries) {
    const decoded = decodeEntry(queue, entry)
    if (Either.isLeft(decoded)) skipped.push(decoded.left)
    else {
      const { message_id } = decoded.right
      if (!messages.has(message_id) && !deleted.has(message_id)) messages.set(message_id, decoded.right)
    }
  }
  const all = [...messages.values()]
  return { messages: all.slice(Math.max(0, all.length - limit)), skipped }
}

export const newestPublic = (recent: RecentEntries, limit: number) =>
  newest("public", recent, limit) as RecentMessages<CachedPublicMessage>

export const newestPrivate = (recent: RecentEntries, limit: number) =>
  newest("private", recent, limit) as RecentMessages<CachedPrivateMessage>
