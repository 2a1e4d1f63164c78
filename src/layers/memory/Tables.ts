import { type CachedMessage, highestCountedCacheId, type QueueName } from "../../domain/Message.ts"
import type { QuarantineEntry } from "../../domain/Quarantine.ts"
import type { EventRow } from "../eventData.ts"

export type MessageTable = ReadonlyMap<string, CachedMessage>

/** By the id of each deleted message the users who saw it. */
export type DeletedTable = ReadonlyMap<string, ReadonlyArray<string>>

/** What is committed. */
export interface Tables {
  messages: Readonly<Record<QueueName, MessageTable>>
  deleted: Readonly<Record<QueueName, DeletedTable>>
  quarantine: ReadonlyMap<number, QuarantineEntry>
  events: ReadonlyArray<EventRow>
  /** Given out also by transactions that fail, as a sequence does. */
  lastQuarantineId: number
}

export const greatest = (rows: Iterable<{ readonly cache_id: number | null }>): number => {
  let found = 0
  for (const { cache_id } of rows) {
    if (cache_id !== null && cache_id <= highestCountedCacheId) found = Math.max(found, cache_id)
  }
  return found
}

export const quarantineOf = (tables: Tables, queue: QueueName): ReadonlyArray<QuarantineEntry> =>
  [...tables.quarantine.values()].filter((entry) => entry.queue === queue)

export const greatestOf = (tables: Tables, queue: QueueName): number =>
  greatest([...tables.messages[queue].values(), ...quarantineOf(tables, queue)])
