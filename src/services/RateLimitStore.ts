import { Context, type Effect } from "effect"
import type { CacheUnavailable } from "../domain/Errors.ts"
import type { RateLimitSettings } from "../domain/RateLimit.ts"

/**
 * The rate-limit settings in force for every process at once, and the running counters. Each operation ends within
 * 12 seconds once the server no longer answers.
 */
export class RateLimitStore extends Context.Tag("chat-cache/RateLimitStore")<
  RateLimitStore,
  {
    /** The settings that Valkey holds, or `undefined` when it holds none and the configured defaults are in force. */
    readonly settings: Effect.Effect<RateLimitSettings | undefined, CacheUnavailable>

    /**
     * Puts settings in force from the next message on, unless newer ones are already, and lets no running counter
     * live longer than the new window.
     *
     * @param position position of the settings' event in the journal: the greater is the newer
     */
    readonly apply: (settings: RateLimitSettings, position: number) => Effect.Effect<void, CacheUnavailable>
  }
>() {}
