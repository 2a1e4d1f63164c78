/** What the questions about latency have in common: an empty queue before each run, and a look at it afterwards. */
import { Effect } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as PublishTarget from "../publish/target.ts"
import * as connections from "../support/connections.ts"
import type { LatencyContestant, PublishOne } from "./LatencyContestant.ts"

const { maxCacheSize } = SettingsConfig.defaults

/** Opens a contestant, and notes what its callers are told. */
export const make = Effect.fnUntraced(function* ({ open }: LatencyContestant, keyPrefix: string) {
  const client = yield* connections.valkey
  const target = yield* PublishTarget.make(client, keyPrefix, maxCacheSize)
  const publish = yield* open(keyPrefix)
  let drafts: Array<PublicMessageDraft> = []
  let cacheIds: Array<number> = []
  const publishOne: PublishOne = (draft) =>
    Effect.map(publish(draft), (cacheId) => {
      drafts.push(draft)
      cacheIds.push(cacheId)
      return cacheId
    })
  const forget = Effect.sync(() => {
    drafts = []
    cacheIds = []
  })
  return {
    publishOne,
    prepare: Effect.zipRight(forget, target.prepare),
    check: target.check(() => ({ drafts, cacheIds })),
  }
})
