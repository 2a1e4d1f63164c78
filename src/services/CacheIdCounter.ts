import { Context, type Effect } from "effect"
import type { CacheUnavailable } from "../domain/Errors.ts"
import type { QueueName } from "../domain/Message.ts"

/** Keeps the id counters of Valkey from falling behind what PostgreSQL has, after Valkey lost data. */
export class CacheIdCounter extends Context.Tag("chat-cache/CacheIdCounter")<
  CacheIdCounter,
  {
    /**
     * Raises the queue's counter to the greatest id known, creates it when it is missing, and journals
     * `CounterReseeded` when that changed anything. While PostgreSQL is away, the greatest id that this process has
     * seen stands in for it; a process that has seen none fails, because ids would start again from 1. Ends within
     * 18 seconds, whatever hangs.
     */
    readonly reseed: (queue: QueueName) => Effect.Effect<void, CacheUnavailable>

    /**
     * Remembers the first and the last id of a batch. Returns false when it does not lie above all ids before it: Valkey
     * has gone back in time, and the counter is to be raised. A plain function, because it is called for every batch on
     * the hot path; it never waits.
     */
    readonly observe: (queue: QueueName, first: number, last: number) => boolean
  }
>() {}
