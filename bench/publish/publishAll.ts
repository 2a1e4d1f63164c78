import { Array as Arrays, Effect, Either } from "effect"
import { inFlight } from "../support/inFlight.ts"
import { name as baseline } from "./evalshaPerMessage.ts"
import type { PublishContestant } from "./PublishContestant.ts"
import * as publisher from "./publisher.ts"

const messagesPerCall = 128
const callsInFlight = 4

/** chat-cache, as an application calls it that has many messages at hand. */
export const contestant: PublishContestant = {
  name: `chat-cache publishAll (${messagesPerCall} per call, ${callsInFlight} calls in flight)`,
  baseline,
  open: (workload) =>
    Effect.map(publisher.open(workload), ({ publishAll }) =>
      inFlight(callsInFlight, Arrays.chunksOf(workload.drafts, messagesPerCall), (drafts) =>
        publishAll("public", drafts),
      ).pipe(Effect.map((outcomes) => outcomes.flat().map((outcome) => Either.getOrThrow(outcome).cache_id))),
    ),
}
