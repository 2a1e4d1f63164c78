import { Context, type Effect } from "effect"
import type { Entry } from "../domain/Entry.ts"
import type { CacheUnavailable } from "../domain/Errors.ts"

/**
 * The recent messages of one channel, completed from the history where the cache does not have them yet. It ends within
 * 12 seconds once Valkey no longer answers.
 */
export class ChannelRecent extends Context.Tag("chat-cache/ChannelRecent")<
  ChannelRecent,
  {
    /**
     * The channel's recent entries, oldest first: at least `limit` of them unless there are no more, as far as
     * `maxCacheSize` goes. However many ask at once, the history is read once for them, and not again for a while when it
     * had no more. When it cannot be read, or not soon, what is cached has to do.
     *
     * @param most how many are read where there are more than `limit`
     */
    readonly entries: (
      channel: string,
      limit: number,
      most: number,
    ) => Effect.Effect<ReadonlyArray<Entry>, CacheUnavailable>
  }
>() {}
