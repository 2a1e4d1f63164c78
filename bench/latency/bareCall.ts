import { Effect } from "effect"
import * as publishScript from "../support/publishScript.ts"
import type { LatencyContestant } from "./LatencyContestant.ts"

/** The baseline: the same script with one message, straight through the client library. */
export const contestant: LatencyContestant = {
  name: "bare EVALSHA of the same script",
  open: (keyPrefix) =>
    Effect.map(
      publishScript.open({ keyPrefix }),
      ({ callOf, make }) =>
        (draft) =>
          Effect.map(
            Effect.suspend(() => make(callOf([draft]))),
            ([id]) => id!,
          ),
    ),
}
