import { Context, type Effect } from "effect"

/** Something about a server that an operator should know. */
export interface Finding {
  /**
   * - `unsafe`: messages could be lost without an error. Of Valkey, which has to be there, it is refused at start; of
   *   PostgreSQL it is reported, because what is taken meanwhile is safe in Valkey.
   * - `blocking`: messages cannot be taken.
   * - `warning`: everything works, something should be improved.
   */
  readonly severity: "unsafe" | "blocking" | "warning"
  /** Name of the check, such as `maxmemory-policy`, by which it can be allowed. */
  readonly check: string
  /** One sentence: what is wrong and how to repair it. */
  readonly reason: string
}

/** How the server behind the cache and the queues is. Answers within 2 seconds. */
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
    /** What of its settings and tables puts stored messages at risk, as of the last `probe`. Never waits for the server. */
    readonly findings: Effect.Effect<ReadonlyArray<Finding>>
    /** Asks it, so that `problem` and `findings` are up to date. Answers within 20 seconds. */
    readonly probe: Effect.Effect<void>
  }
>() {}
