import { Effect } from "effect"
import { inFlight } from "../support/inFlight.ts"
import * as publisher from "../support/publisher.ts"
import { name as baseline } from "./evalshaPerMessage.ts"
import type { PublishContestant } from "./PublishContestant.ts"

/** chat-cache, as an application calls it that gets its messages one by one. */
export const contestant: PublishContestant = {
  name: "chat-cache publish",
  baseline,
  open: ({ keyPrefix, drafts, callers, maxCacheSize }) =>
    Effect.map(publisher.open({ keyPrefix, maxCacheSize, maxQueueLength: drafts.length }), ({ publish }) => ({
      run: inFlight(callers, drafts, (draft) => publish("public", draft)).pipe(
        Effect.map((accepted) => accepted.map(({ cache_id }) => cache_id)),
        Effect.orDie,
      ),
    })),
}
