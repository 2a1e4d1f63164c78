import { Effect } from "effect"
import { readFileSync } from "node:fs"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import * as connections from "../support/connections.ts"
import { inFlight } from "../support/inFlight.ts"
import { payloadOf } from "../support/messages.ts"
import type { PublishContestant } from "./PublishContestant.ts"

const script = readFileSync(new URL("publishMessage-3.lua", import.meta.url), "utf8")

export const name = "one EVALSHA per message"

/** Connects, and returns what publishes one message with a script call of its own and succeeds with its id. */
export const publishOne = (keyPrefix: string, maxCacheSize: number) =>
  Effect.gen(function* () {
    const client = yield* connections.valkey
    const sha1 = (yield* Effect.promise(() => client.script("LOAD", script))) as string
    const { counter, recent, flushQueue } = Keys.make(keyPrefix)
    return (draft: PublicMessageDraft): Effect.Effect<number> =>
      Effect.promise(async () => {
        const payload = payloadOf(draft)
        const id = await client.evalsha(
          sha1,
          3,
          counter.public,
          recent,
          flushQueue.public,
          payload,
          maxCacheSize,
        )
        return id as number
      })
  })

/** The baseline: each caller makes a script call of its own. No validation, no rate limit, no bound on the queue. */
export const contestant: PublishContestant = {
  name,
  open: ({ keyPrefix, drafts, callers, maxCacheSize }) =>
    Effect.map(publishOne(keyPrefix, maxCacheSize), (publish) => ({
      run: inFlight(callers, drafts, publish),
    })),
}
