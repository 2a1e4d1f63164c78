import { Context, Duration, Effect, Layer } from "effect"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import * as connections from "../support/connections.ts"
import { unlimited } from "../support/publisher.ts"
import type { EndToEndContestant } from "./EndToEndContestant.ts"
import { publishAndStore } from "./publishAndStore.ts"
import { name as baseline } from "./wholeList.ts"

/** The whole of it with its default settings: one flusher works while callers publish. */
export const contestant: EndToEndContestant = {
  name: "chat-cache",
  baseline,
  open: (workload) =>
    Effect.gen(function* () {
      const { keyPrefix, drafts, callers } = workload
      const client = yield* connections.valkey
      const { publish, flush } = yield* Layer.build(
        ChatCacheLayer.layer.pipe(
          Layer.provide(
            SettingsConfig.layer({ keyPrefix, rateLimit: unlimited, shutdownTimeout: Duration.seconds(5) }),
          ),
        ),
      ).pipe(Effect.map(Context.get(ChatCache)), Effect.orDie)
      const queue = Keys.make(keyPrefix).flushQueue.public
      /** A flush by hand works off what is there now. Its threshold has had it at work since the beginning. */
      const flushRest = (hasEnded: () => boolean): Effect.Effect<void> =>
        Effect.gen(function* () {
          while (!hasEnded()) yield* Effect.sleep("1 millis")
          while ((yield* Effect.orDie(flush)).public.remaining > 0) yield* Effect.yieldNow()
        })
      return {
        run: publishAndStore(workload, {
          items: drafts,
          callers,
          publish: (draft) => Effect.orDie(publish(draft)),
          length: Effect.promise(() => client.llen(queue)),
          store: (hasEnded) => Effect.as(flushRest(hasEnded), drafts.length),
        }).pipe(Effect.asVoid),
      }
    }),
}
