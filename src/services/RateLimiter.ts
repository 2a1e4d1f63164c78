import { Context, type Effect } from "effect"
import type { CacheUnavailable, InvalidRateLimitSettings, StoreError } from "../domain/Errors.ts"
import type { RateLimitSettings } from "../domain/RateLimit.ts"

/**
 * How fast each user may send. The counting itself is part of `MessageCache.append`, in the same atomic step.
 * Each operation ends within 30 seconds once a server no longer answers.
 */
export class RateLimiter extends Context.Tag("chat-cache/RateLimiter")<
  RateLimiter,
  {
    /** The settings in force. */
    readonly settings: Effect.Effect<RateLimitSettings, CacheUnavailable>

    /**
     * Journals the new settings and puts them in force for every process from the next message on.
     * With `CacheUnavailable` they are journalled and take effect as soon as Valkey is back.
     */
    readonly updateSettings: (
      settings: RateLimitSettings,
    ) => Effect.Effect<RateLimitSettings, InvalidRateLimitSettings | CacheUnavailable | StoreError>

    /** Puts the journal's settings in force again where Valkey has lost them. */
    readonly restore: Effect.Effect<void, CacheUnavailable | StoreError>
  }
>() {}
