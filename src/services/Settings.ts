import { Context, type Duration } from "effect"
import type { RateLimitSettings } from "../domain/RateLimit.ts"

/** What can be set. `SettingsConfig.defaults` are the defaults, `SettingsConfig.config` reads them from `CHAT_CACHE_…`. */
export class Settings extends Context.Tag("chat-cache/Settings")<
  Settings,
  {
    /** Goes before every key in Valkey. With a hash tag in it (`{chat}:`) all keys share one cluster slot. */
    readonly keyPrefix: string
    /** Length of a recent cache, and the queue length that triggers a flush. */
    readonly maxCacheSize: number
    /** How long the recent cache of a channel is kept after its last message. */
    readonly channelIdleTime: Duration.Duration
    /** The longest that a message waits for a flush when the threshold is not reached. */
    readonly flushInterval: Duration.Duration
    /** Rows in one transaction. */
    readonly flushBatchSize: number
    /** Bytes of entries in one transaction; a single larger entry still goes, alone. */
    readonly flushBatchBytes: number
    /** Past this length of a queue, publishing is refused with `QueueFull`. */
    readonly maxQueueLength: number
    /** In force until `RateLimitChanged` says otherwise. */
    readonly rateLimit: RateLimitSettings
    /** From the first signal to the end of the process. */
    readonly shutdownTimeout: Duration.Duration
    /** Safety checks that are reported but do not stop the start, by name, such as `maxmemory-policy`. */
    readonly allowUnsafe: ReadonlyArray<string>
  }
>() {}
