/** What the questions about latency have in common: an empty queue before each run, and a look at it afterwards. */
import { Effect } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { findProblem } from "../publish/findProblem.ts"
import { check } from "../support/check.ts"
import * as connections from "../support/connections.ts"
import { readList } from "../support/lists.ts"
import type { LatencyContestant, PublishOne } from "./LatencyContestant.ts"

const { maxCacheSize } = SettingsConfig.defaults

/** Opens a contestant, and notes what its callers are told. */
export const make = Effect.fnUntraced(function* ({ open }: LatencyContestant, keyPrefix: string) {
  const client = yield* connections.valkey
  const keys = Keys.make(keyPrefix)
  // Never set back: to the publisher that would look as if Valkey had lost data.
  yield* Effect.promise(() => client.setnx(keys.counter.public, 0))
  const publish = yield* open(keyPrefix)
  let drafts: Array<PublicMessageDraft> = []
  let cacheIds: Array<number> = []
  const publishOne: PublishOne = (draft) =>
    Effect.map(publish(draft), (cacheId) => {
      drafts.push(draft)
      cacheIds.push(cacheId)
      return cacheId
    })
  const prepare = Effect.promise(async () => {
    drafts = []
    cacheIds = []
    await client.del(keys.flushQueue.public, keys.recent)
  }).pipe(Effect.zipRight(connections.rewriteAppendOnlyFile(client)))
  return {
    publishOne,
    prepare,
    check: check(async () =>
      findProblem({
        drafts,
        cacheIds,
        queue: await readList(client, keys.flushQueue.public),
        recent: await readList(client, keys.recent),
        maxCacheSize,
      }),
    ).pipe(Effect.zipLeft(Effect.promise(() => client.del(keys.flushQueue.public, keys.recent)))),
  }
})
