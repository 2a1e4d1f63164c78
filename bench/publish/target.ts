/** The queue and the caches that a contestant publishes into: emptied before each run, and looked at after it. */
import { Effect } from "effect"
import type { Redis } from "iovalkey"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { check } from "../support/check.ts"
import * as connections from "../support/connections.ts"
import { readList } from "../support/lists.ts"
import type { CheckFailed } from "../support/Question.ts"
import { findProblem, type Published } from "./findProblem.ts"

export interface Target {
  readonly prepare: Effect.Effect<void>
  /** Whether all that was published is there, as its callers were told. Leaves nothing for others to work beside. */
  readonly check: (
    published: () => Pick<Published, "drafts" | "cacheIds">,
  ) => Effect.Effect<void, CheckFailed>
}

/** The counter is never set back: to the publisher that would look as if Valkey had lost data. */
export const make = (client: Redis, keyPrefix: string, maxCacheSize: number): Effect.Effect<Target> => {
  const keys = Keys.make(keyPrefix)
  const empty = Effect.promise(async () => {
    const ofChannels = await client.keys(keys.recentOfChannel("*"))
    await client.del(keys.flushQueue.public, keys.recent, ...ofChannels)
  })
  return Effect.as(
    Effect.promise(() => client.setnx(keys.counter.public, 0)),
    {
      prepare: Effect.zipRight(empty, connections.rewriteAppendOnlyFile(client)),
      check: (published) =>
        check(async () =>
          findProblem({
            ...published(),
            queue: await readList(client, keys.flushQueue.public),
            recent: await readList(client, keys.recent),
            maxCacheSize,
          }),
        ).pipe(Effect.zipLeft(empty)),
    },
  )
}
