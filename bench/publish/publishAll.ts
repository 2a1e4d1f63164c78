import { Array as Arrays, Effect, Either } from "effect"
import { inFlight } from "../support/inFlight.ts"
import * as publisher from "../support/publisher.ts"
import { name as baseline } from "./evalshaPerMessage.ts"
import type { PublishContestant } from "./PublishContestant.ts"

export const messagesPerCall = 128
export const callsInFlight = 4

/** chat-cache, as an application calls it that has many messages at hand. */
export const contestant: PublishContestant = {
  name: `chat-cache publishAll, ${callsInFlight} calls of ${messagesPerCall}`,
  baseline,
  open: ({ keyPrefix, drafts, maxCacheSize }) =>
    Effect.map(
      publisher.open({ keyPrefix, maxCacheSize, maxQueueLength: drafts.length }),
      ({ publishAll }) => ({
        run: inFlight(callsInFlight, Arrays.chunksOf(drafts, messagesPerCall), (some) =>
          publishAll("public", some),
        ).pipe(
          Effect.map((outcomes) => outcomes.flat().map((outcome) => Either.getOrThrow(outcome).cache_id)),
        ),
      }),
    ),
}
