import { Context, type Effect } from "effect"
import type { CacheUnavailable, InvalidHistoryQuery, StoreError } from "../domain/Errors.ts"
import type { HistoryPage, HistoryQuery, HistoryScope } from "../domain/History.ts"
import type { CachedMessage } from "../domain/Message.ts"

/** Why a page of the history could not be read. */
export type HistoryError = InvalidHistoryQuery | CacheUnavailable | StoreError

/**
 * Messages page by page, over what is queued and what is stored: without a gap and without a repetition, also while a
 * flush moves messages from one to the other.
 *
 * Of that there are two limits. A message that was sent again while its first copy was queued is shown in both places,
 * with the same `message_id`, until it is flushed, if they are on different pages. And in a queue that somebody has put
 * out of the order of its ids, messages may be passed over until they are flushed.
 */
export class History extends Context.Tag("chat-cache/History")<
  History,
  {
    /**
     * Valkey is always needed. PostgreSQL is not when the page is full of messages that are queued, so that the newest
     * ones can be read while it is away. Ends within 15 seconds once a server no longer answers.
     */
    readonly page: (
      scope: HistoryScope,
      query: HistoryQuery,
    ) => Effect.Effect<HistoryPage<CachedMessage>, HistoryError>
  }
>() {}
