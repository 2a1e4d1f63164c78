import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import type { StoredRow } from "../support/tables.ts"

/** What is wrong, if not every draft is a row exactly once. Where messages may be lost, a row may be missing, not wrong. */
export const findProblem = (
  drafts: ReadonlyArray<PublicMessageDraft>,
  rows: ReadonlyArray<StoredRow>,
  loses: boolean,
): string | undefined => {
  const awaited = new Map(drafts.map((draft) => [draft.message, draft]))
  for (const row of rows) {
    const draft = awaited.get(row.message)
    if (draft === undefined)
      return `the message with the id ${row.cache_id} is stored twice, or nobody published it`
    if (row.owner_id !== draft.owner_id || row.channel !== draft.channel) {
      return `the row with the id ${row.cache_id} is not what was published`
    }
    awaited.delete(row.message)
  }
  return loses || awaited.size === 0
    ? undefined
    : `${drafts.length} messages were accepted, ${rows.length} are stored`
}
