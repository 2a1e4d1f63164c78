import type { PublicMessage } from "../../src/domain/Message.ts"
import type { StoredRow } from "../support/tables.ts"

export interface Flushed {
  /** What was queued, under the ids from 1 on. */
  readonly messages: ReadonlyArray<PublicMessage>
  /** The table afterwards, by `cache_id`. */
  readonly rows: ReadonlyArray<StoredRow>
  readonly stillQueued: number
  readonly quarantined: number
  /** Which of the messages the table refuses. */
  readonly isBad?: (index: number) => boolean
}

/** What is wrong, if not every message is stored exactly once and as it was queued, or quarantined where it is bad. */
export const findProblem = ({
  messages,
  rows,
  stillQueued,
  quarantined,
  isBad = () => false,
}: Flushed): string | undefined => {
  const good = messages.flatMap((message, index) =>
    isBad(index) ? [] : [{ ...message, cache_id: index + 1 }],
  )
  const bad = messages.length - good.length
  if (stillQueued > 0) return `${stillQueued} messages are still queued`
  if (quarantined !== bad) return `${quarantined} messages are quarantined, ${bad} are bad`
  if (rows.length !== good.length) return `${good.length} messages were queued, ${rows.length} are stored`
  for (const [index, expected] of good.entries()) {
    const row = rows[index]!
    const isSame = Object.entries(expected).every(([field, value]) => row[field as keyof StoredRow] === value)
    if (!isSame) return `the row with the id ${row.cache_id} is not what was queued`
  }
  return undefined
}
