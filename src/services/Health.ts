import { Context, type Effect } from "effect"

/** Something about a server that an operator should know. */
export interface Finding {
  /**
   * - `unsafe`: messages could be lost without an error. Refused at start, reported later.
   * - `blocking`: messages cannot be taken.
   * - `warning`: everything works, something should be improved.
   */
  readonly severity: "unsafe" | "blocking" | "warning"
  /** Name of the check, such as `maxmemory-policy`, by which it can be allowed. */
  readonly check: string
  /** One sentence: what is wrong and how to repair it. */
  readonly reason: string
}

/** How the server behind the cache and the queues is. Answers within two seconds. */
export class CacheHealth extends Context.Tag("chat-cache/CacheHealth")<
  CacheHealth,
  { readonly findings: Effect.Effect<ReadonlyArray<Finding>> }
>() {}

/** How the server behind the message store is. */
export class StoreHealth extends Context.Tag("chat-cache/StoreHealth")<
  StoreHealth,
  {
    /** What was wrong when it was last asked anything, `undefined` when nothing was. Never waits for the server. */
    readonly problem: Effect.Effect<string | undefined>
    /** Asks it something, so that `problem` is up to date. */
    readonly probe: Effect.Effect<void>
  }
>() {}
