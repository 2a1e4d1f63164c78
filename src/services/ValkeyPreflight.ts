import { Context, type Effect } from "effect"
import type { CacheUnavailable } from "../domain/Errors.ts"

export interface ValkeyProblem {
  /** Name of the check, by which an unsafe one can be allowed. */
  readonly check:
    | "maxmemory-policy"
    | "key-types"
    | "permissions"
    | "role"
    | "version"
    | "appendonly"
    | "appendonly-write"
  /** What is wrong, what it costs and how to repair it, in words for the operator. */
  readonly reason: string
  /**
   * - `unsafe`: accepted messages could be lost or cannot be handled. The daemon does not start.
   * - `blocking`: no message can be taken until it is over, as in an outage.
   * - `warning`: less is promised than could be.
   */
  readonly severity: "unsafe" | "blocking" | "warning"
}

/** Whether the Valkey server is one that messages can be entrusted to. */
export class ValkeyPreflight extends Context.Tag("chat-cache/ValkeyPreflight")<
  ValkeyPreflight,
  {
    /** Asks the server. Cheap enough to be repeated every minute, since all of this can change while it runs. */
    readonly check: Effect.Effect<{ readonly problems: ReadonlyArray<ValkeyProblem> }, CacheUnavailable>
  }
>() {}
