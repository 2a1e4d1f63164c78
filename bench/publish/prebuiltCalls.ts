import { Array as Arrays, Effect } from "effect"
import { inFlight } from "../support/inFlight.ts"
import * as publishScript from "../support/publishScript.ts"
import { name as baseline } from "./evalshaPerMessage.ts"
import { callsInFlight, messagesPerCall } from "./publishAll.ts"
import type { PublishContestant } from "./PublishContestant.ts"

/** The ceiling: the script of chat-cache with calls made up beforehand. What chat-cache does besides is what it lacks to this. */
export const contestant: PublishContestant = {
  name: `our script with prebuilt texts, ${callsInFlight} calls of ${messagesPerCall}`,
  baseline,
  open: ({ keyPrefix, drafts, maxCacheSize }) =>
    Effect.map(
      publishScript.open({ keyPrefix, maxCacheSize, maxQueueLength: drafts.length }),
      ({ callOf, make }) => {
        const calls = Arrays.chunksOf(drafts, messagesPerCall).map(callOf)
        return { run: Effect.map(inFlight(callsInFlight, calls, make), (ids) => ids.flat()) }
      },
    ),
}
