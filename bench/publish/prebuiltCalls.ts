import { Array as Arrays, Effect } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import * as Script from "../../src/layers/valkey/Script.ts"
import * as connections from "../support/connections.ts"
import { inFlight } from "../support/inFlight.ts"
import { unlimited } from "../support/publisher.ts"
import { name as baseline, payloadOf } from "./evalshaPerMessage.ts"
import { callsInFlight, messagesPerCall } from "./publishAll.ts"
import type { PublishContestant } from "./PublishContestant.ts"

interface Call {
  readonly numberOfKeys: number
  readonly keysAndArguments: ReadonlyArray<string | number>
}

const callOf =
  (keys: Keys.Keys, maxQueueLength: number, maxCacheSize: number) =>
  (drafts: ReadonlyArray<PublicMessageDraft>): Call => {
    const named = [keys.flushQueue.public, keys.counter.public, keys.rateLimitSettings]
    for (const { owner_id } of drafts) named.push(keys.rateLimit(owner_id), keys.recent)
    const { message_limit, window_seconds } = unlimited
    const args = [maxQueueLength, maxCacheSize, message_limit, window_seconds, ...drafts.map(payloadOf)]
    return { numberOfKeys: named.length, keysAndArguments: [...named, ...args] }
  }

/** The ceiling: the script of chat-cache with texts made beforehand. What chat-cache does besides is what it lacks to this. */
export const contestant: PublishContestant = {
  name: `our script with prebuilt texts (${messagesPerCall} per call, ${callsInFlight} calls in flight)`,
  baseline,
  open: ({ keyPrefix, drafts, maxCacheSize }) =>
    Effect.gen(function* () {
      const client = yield* connections.valkey
      const script = yield* Script.load("publishMessages-3")
      yield* Effect.promise(() => client.script("LOAD", script.text))
      const calls = Arrays.chunksOf(drafts, messagesPerCall).map(
        callOf(Keys.make(keyPrefix), drafts.length, maxCacheSize),
      )
      const run = inFlight(callsInFlight, calls, ({ numberOfKeys, keysAndArguments }) =>
        Effect.promise(() => client.evalsha(script.sha1, numberOfKeys, ...keysAndArguments)),
      ).pipe(Effect.map((replies) => replies.flatMap((reply) => (reply as ReadonlyArray<number>).slice(1))))
      return { run }
    }),
}
