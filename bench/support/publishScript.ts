/** The script of chat-cache that takes messages, called straight through the client library. */
import { Effect, identity } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import * as PublishCall from "../../src/layers/valkey/PublishCall.ts"
import * as Script from "../../src/layers/valkey/Script.ts"
import type { Settings } from "../../src/services/Settings.ts"
import * as connections from "./connections.ts"
import { payloadOf } from "./messages.ts"
import { unlimited } from "./publisher.ts"

/**
 * Connects, and returns how a call is made up and how it is made, which succeeds with the ids.
 *
 * @param edit of the script's text, for what it would cost otherwise
 */
export const open = (settings: Partial<Settings["Type"]>, edit: (text: string) => string = identity) =>
  Effect.gen(function* () {
    const client = yield* connections.valkey
    const { text } = yield* Script.load("publishMessages-3")
    const sha1 = (yield* Effect.promise(() => client.script("LOAD", edit(text)))) as string
    const all = { ...SettingsConfig.defaults, rateLimit: unlimited, ...settings }
    const callOf = PublishCall.make(Keys.make(all.keyPrefix), all)
    return {
      callOf: (drafts: ReadonlyArray<PublicMessageDraft>): PublishCall.PublishCall =>
        callOf(
          "public",
          drafts.map((draft) => ({
            payload: payloadOf(draft),
            ownerId: draft.owner_id,
            channel: draft.channel,
          })),
        ),
      make: ({ keys, args }: PublishCall.PublishCall): Effect.Effect<ReadonlyArray<number>> =>
        Effect.promise(async () => {
          const reply = await client.evalsha(sha1, keys.length, ...keys, ...args)
          return (reply as ReadonlyArray<number>).slice(1)
        }),
    }
  })
