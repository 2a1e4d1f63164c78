import { Either } from "effect"
import { decodeEntry, type Entry } from "./Entry.ts"
import type { UndecodableEntry } from "./Errors.ts"
import type { CachedMessage, CachedPrivateMessage, CachedPublicMessage, QueueName } from "./Message.ts"

export interface RecentMessages<Message> {
  /** Oldest first. */
  readonly messages: ReadonlyArray<Message>
  /** Entries that are not messages and were passed over. */
  readonly skipped: ReadonlyArray<UndecodableEntry>
}

/**
 * The newest `limit` messages of a recent cache. A message that was sent again after an unknown outcome stands in
 * the cache twice and is shown once, in its first place.
 *
 * @param entries oldest first
 */
const newest = (
  queue: QueueName,
  entries: ReadonlyArray<Entry>,
  limit: number,
): RecentMessages<CachedMessage> => {
  const skipped: Array<UndecodableEntry> = []
  const messages = new Map<string, CachedMessage>()
  for (const entry of entries) {
    const decoded = decodeEntry(queue, entry)
    if (Either.isLeft(decoded)) skipped.push(decoded.left)
    else if (!messages.has(decoded.right.message_id)) messages.set(decoded.right.message_id, decoded.right)
  }
  const all = [...messages.values()]
  return { messages: all.slice(Math.max(0, all.length - limit)), skipped }
}

export const newestPublic = (entries: ReadonlyArray<Entry>, limit: number) =>
  newest("public", entries, limit) as RecentMessages<CachedPublicMessage>

export const newestPrivate = (entries: ReadonlyArray<Entry>, limit: number) =>
  newest("private", entries, limit) as RecentMessages<CachedPrivateMessage>
