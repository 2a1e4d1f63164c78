import { Effect } from "effect"
import * as publisher from "../support/publisher.ts"
import type { LatencyContestant } from "./LatencyContestant.ts"

export const contestant: LatencyContestant = {
  name: "chat-cache publish",
  open: (keyPrefix) =>
    Effect.map(
      publisher.open({ keyPrefix }),
      ({ publish }) =>
        (draft) =>
          publish("public", draft).pipe(
            Effect.map(({ cache_id }) => cache_id),
            Effect.orDie,
          ),
    ),
}
