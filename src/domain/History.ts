/**
 * The history of messages: its order, the places in it, and how what is still queued and what is stored become one page.
 */
import { Either } from "effect"
import { decodeEntry, type Entry } from "./Entry.ts"
import { InvalidHistoryQuery } from "./Errors.ts"
import type { CachedMessage } from "./Message.ts"
import type { Problem } from "./Validation.ts"

/** Whose history: all public messages or those of one channel, or the private ones that a user sent or received. */
export type HistoryScope =
  | { readonly queue: "public"; readonly channel?: string | undefined }
  | { readonly queue: "private"; readonly userId: string }

/** Where a message stands. `cache_id` may be given twice when Valkey loses its data, so `message_id` decides then. */
export type Position = Pick<CachedMessage, "cache_id" | "message_id">

/** From a position on to older messages, or to newer ones. */
export type Direction = "before" | "after"

export interface HistoryRange {
  readonly direction: Direction
  /** The position itself is not part of the range. Without one it begins with the newest message. */
  readonly from: Position | undefined
}

/** `before` and `after` are cursors: the `previous` or `next` of a page, or `<cache_id>.<message_id>` of any message. */
export interface HistoryQuery {
  readonly before?: string | undefined
  readonly after?: string | undefined
  readonly limit?: number | undefined
}

/** One page, oldest first. It may be shorter than asked for: what tells the end is that there is no cursor. */
export interface HistoryPage<Message> {
  readonly messages: ReadonlyArray<Message>
  /** The `before` of the page of older messages; absent when there are none. */
  readonly previous?: string
  /** The `after` of the page of newer messages; absent when there were none when the page was read. */
  readonly next?: string
}

export const defaultHistoryLimit = 50
export const maximumHistoryLimit = 1000

/** Below 0 when `one` is the older one. UUIDs in lower case order like their bytes, as they do in PostgreSQL. */
export const comparePositions = (one: Position, other: Position): number =>
  one.cache_id - other.cache_id ||
  (one.message_id < other.message_id ? -1 : one.message_id > other.message_id ? 1 : 0)

/** The order in which a range is gone through. */
export const nearestFirst = (direction: Direction): ((one: Position, other: Position) => number) =>
  direction === "before" ? (one, other) => comparePositions(other, one) : comparePositions

/** Whether `position` lies in the direction, seen from the other one. */
export const isBeyond = (direction: Direction, position: Position, from: Position): boolean =>
  nearestFirst(direction)(position, from) > 0

export const formatCursor = ({ cache_id, message_id }: Position): string => `${cache_id}.${message_id}`

const cursor = /^(\d{1,16})\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i

export const parseCursor = (text: string): Position | undefined => {
  const match = cursor.exec(text)
  const cache_id = Number(match?.[1])
  return match !== null && Number.isSafeInteger(cache_id)
    ? { cache_id, message_id: match[2]!.toLowerCase() }
    : undefined
}

const notACursor =
  "is not a cursor: take `previous` or `next` of a page, or <cache_id>.<message_id> of a message"

export const rangeOf = ({
  before,
  after,
  limit = defaultHistoryLimit,
}: HistoryQuery): Either.Either<HistoryRange & { readonly limit: number }, InvalidHistoryQuery> => {
  const problems: Array<Problem> = []
  const direction = after === undefined ? "before" : "after"
  const given = after ?? before
  const from = given === undefined ? undefined : parseCursor(given)
  if (before !== undefined && after !== undefined) {
    problems.push({ field: "after", problem: "cannot be combined with before: give one of the two" })
  } else if (given !== undefined && from === undefined) {
    problems.push({ field: direction, problem: notACursor })
  }
  if (!Number.isInteger(limit) || limit < 1 || limit > maximumHistoryLimit) {
    problems.push({ field: "limit", problem: `must be one integer, from 1 to ${maximumHistoryLimit}` })
  }
  return problems.length === 0
    ? Either.right({ direction, from, limit })
    : Either.left(new InvalidHistoryQuery({ problems }))
}

export const isInScope = (scope: HistoryScope, message: CachedMessage): boolean => {
  if (scope.queue === "public") {
    return scope.channel === undefined || ("channel" in message && message.channel === scope.channel)
  }
  return (
    message.owner_id === scope.userId || ("recipient_id" in message && message.recipient_id === scope.userId)
  )
}

/** What was read of a queue, from a position on. */
export interface QueuedPart {
  /** Those of the range and the scope, nearest to its beginning first. */
  readonly messages: ReadonlyArray<CachedMessage>
  /** The last place that was looked at, `undefined` when the queue was read to its end. Beyond it lies more. */
  readonly horizon: Position | undefined
}

/** Entries of a queue, nearest first, as the messages of a range. What is not a message is passed over. */
export const messagesInRange = (
  scope: HistoryScope,
  { direction, from }: HistoryRange,
  entries: ReadonlyArray<Entry>,
): { readonly messages: ReadonlyArray<CachedMessage>; readonly last: Position | undefined } => {
  const messages: Array<CachedMessage> = []
  let last: Position | undefined
  for (const entry of entries) {
    const decoded = decodeEntry(scope.queue, entry)
    if (Either.isLeft(decoded)) continue
    const message = decoded.right
    if (from !== undefined && !isBeyond(direction, message, from)) continue
    last = { cache_id: message.cache_id, message_id: message.message_id }
    if (isInScope(scope, message)) messages.push(message)
  }
  return { messages, last }
}

/** What was read of the table, from the same position on. */
export interface StoredPart {
  /** Nearest to the beginning of the range first. */
  readonly messages: ReadonlyArray<CachedMessage>
  /** Ids of queued messages that are not to be shown from there: stored by now, or in another place, or deleted. */
  readonly settled: ReadonlySet<string>
}

export interface PageParts {
  readonly range: HistoryRange
  readonly limit: number
  readonly queued: QueuedPart
  /** Read after the queue: more than `limit` messages unless there are no more. */
  readonly stored: StoredPart
}

/** A message that was sent again stands in the queue twice, and will be stored in its first place. */
const earliestOfEach = (messages: ReadonlyArray<CachedMessage>): Map<string, CachedMessage> => {
  const found = new Map<string, CachedMessage>()
  for (const message of messages) {
    const known = found.get(message.message_id)
    if (known === undefined || comparePositions(message, known) < 0) found.set(message.message_id, message)
  }
  return found
}

/**
 * Nothing leaves the queue before it is a row, so what is read of the queue first and of the table afterwards misses
 * nothing; what was moved meanwhile is in both and is taken once.
 */
export const assemblePage = ({
  range: { direction, from },
  limit,
  queued: { messages: queued, horizon },
  stored,
}: PageParts): HistoryPage<CachedMessage> => {
  const union = earliestOfEach(queued)
  for (const id of stored.settled) union.delete(id)
  for (const message of stored.messages) union.set(message.message_id, message)
  const known = [...union.values()]
    .filter((message) => horizon === undefined || !isBeyond(direction, message, horizon))
    .sort(nearestFirst(direction))
  const messages = known.slice(0, limit)
  const goOn = known.length > limit ? messages.at(-1) : horizon
  const goBack = messages[0] ?? from
  if (direction === "before") messages.reverse()
  const [older, newer] = direction === "before" ? [goOn, from && goBack] : [goBack, goOn]
  return {
    messages,
    ...(older === undefined ? {} : { previous: formatCursor(older) }),
    ...(newer === undefined ? {} : { next: formatCursor(newer) }),
  }
}
