import type { PublicMessageDraft } from "../../src/domain/Message.ts"

export interface Published {
  readonly drafts: ReadonlyArray<PublicMessageDraft>
  /** What the caller of each draft was told. */
  readonly cacheIds: ReadonlyArray<number>
  /** The flush queue afterwards, oldest first. */
  readonly queue: ReadonlyArray<string>
  /** The recent cache afterwards, oldest first. */
  readonly recent: ReadonlyArray<string>
  readonly maxCacheSize: number
}

interface QueuedEntry {
  readonly cache_id: number
  readonly data: PublicMessageDraft
}

/** What is wrong, if not every draft is queued exactly once, as it was given and under the id that its caller was told. */
export const findProblem = ({
  drafts,
  cacheIds,
  queue,
  recent,
  maxCacheSize,
}: Published): string | undefined => {
  if (queue.length !== drafts.length)
    return `${drafts.length} messages were accepted, ${queue.length} are queued`
  const awaited = new Map(cacheIds.map((cacheId, index) => [cacheId, drafts[index]!]))
  for (const text of queue) {
    const entry = JSON.parse(text) as QueuedEntry
    const draft = awaited.get(entry.cache_id)
    if (draft === undefined) return `the id ${entry.cache_id} is queued twice, or no caller was told of it`
    if (Object.entries(draft).some(([field, value]) => entry.data[field as keyof typeof draft] !== value)) {
      return `the message under the id ${entry.cache_id} is not the one that got it`
    }
    awaited.delete(entry.cache_id)
  }
  const newest = queue.slice(-maxCacheSize)
  return recent.length === newest.length && recent.every((entry, index) => entry === newest[index])
    ? undefined
    : "the recent cache does not hold the newest messages"
}

/** The same for a program by others, which keeps the text of each message under an id of its own. */
export const findOtherProblem = (
  drafts: ReadonlyArray<PublicMessageDraft>,
  ids: ReadonlyArray<string>,
  held: ReadonlyMap<string, string>,
): string | undefined => {
  if (held.size !== drafts.length) return `${drafts.length} messages were accepted, ${held.size} are queued`
  const wrong = ids.findIndex((id, index) => held.get(id) !== drafts[index]!.message)
  return wrong === -1 ? undefined : `the message under the id ${ids[wrong]} is not the one that got it`
}
