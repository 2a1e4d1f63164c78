import { Effect } from "effect"
import { inFlight } from "../support/inFlight.ts"
import { name as baseline } from "./evalshaPerMessage.ts"
import type { PublishContestant } from "./PublishContestant.ts"
import * as publisher from "./publisher.ts"

/** chat-cache, as an application calls it that gets its messages one by one. */
export const contestant: PublishContestant = {
  name: "chat-cache publish",
  baseline,
  open: (workload) =>
    Effect.map(publisher.open(workload), ({ publish }) =>
      inFlight(workload.callers, workload.drafts, (draft) => publish("public", draft)).pipe(
        Effect.map((accepted) => accepted.map(({ cache_id }) => cache_id)),
        Effect.orDie,
      ),
    ),
}
