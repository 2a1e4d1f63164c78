import type { PublicMessage } from "../../src/domain/Message.ts"

/** A row of `chat_messages`. */
export type StoredRow = PublicMessage & { readonly cache_id: number }

export interface Flushed {
  /** What was queued, under the ids from 1 on. */
  readonly messages: ReadonlyArray<PublicMessage>
  /** The table afterwards, by `cache_id`. */
  readonly rows: ReadonlyArray<StoredRow>
  readonly stillQueued: number
  readonly quarantined: number
}

/** What is wrong, if not every message is stored exactly once and as it was queued. */
export const findProblem = ({ messages, rows, stillQueued, quarantined }: Flushed): string | undefined => {
  if (stillQueued > 0) return `${stillQueued} messages are still queued`
  if (quarantined > 0) return `${quarantined} messages are quarantined`
  if (rows.length !== messages.length)
    return `${messages.length} messages were queued, ${rows.length} are stored`
  for (const [index, message] of messages.entries()) {
    const row = rows[index]!
    const isSame = Object.entries(message).every(([field, value]) => row[field as keyof StoredRow] === value)
    if (!isSame || row.cache_id !== index + 1)
      return `the row with the id ${row.cache_id} is not what was queued`
  }
  return undefined
}
