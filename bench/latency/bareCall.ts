import { Effect } from "effect"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import * as Script from "../../src/layers/valkey/Script.ts"
import { payloadOf } from "../publish/evalshaPerMessage.ts"
import * as connections from "../support/connections.ts"
import { unlimited } from "../support/publisher.ts"
import type { LatencyContestant } from "./LatencyContestant.ts"

const { maxQueueLength, maxCacheSize } = SettingsConfig.defaults
const { message_limit, window_seconds } = unlimited

/** The baseline: the same script with one message, straight through the client library. */
export const contestant: LatencyContestant = {
  name: "bare EVALSHA of the same script",
  open: (keyPrefix) =>
    Effect.gen(function* () {
      const client = yield* connections.valkey
      const script = yield* Script.load("publishMessages-3")
      yield* Effect.promise(() => client.script("LOAD", script.text))
      const keys = Keys.make(keyPrefix)
      return (draft) =>
        Effect.promise(async () => {
          const reply = (await client.evalsha(
            script.sha1,
            5,
            keys.flushQueue.public,
            keys.counter.public,
            keys.rateLimitSettings,
            keys.rateLimit(draft.owner_id),
            keys.recent,
            maxQueueLength,
            maxCacheSize,
            message_limit,
            window_seconds,
            payloadOf(draft),
          )) as ReadonlyArray<number>
          return reply[1]!
        })
    }),
}
