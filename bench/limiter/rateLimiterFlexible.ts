import { Effect } from "effect"
import { RateLimiterRes, RateLimiterValkey } from "rate-limiter-flexible"
import * as connections from "../support/connections.ts"
import { inFlight } from "../support/inFlight.ts"
import type { LimiterContestant } from "./LimiterContestant.ts"

export const name = "rate-limiter-flexible"

const isRefused = async (limiter: RateLimiterValkey, userId: string): Promise<boolean> => {
  try {
    await limiter.consume(userId)
    return false
  } catch (rejection) {
    if (rejection instanceof RateLimiterRes) return true
    throw rejection
  }
}

/** The baseline: the library for it, one script call per message, without its cache of blocked users. */
export const contestant: LimiterContestant = {
  name,
  open: ({ keyPrefix, drafts, callers }) =>
    Effect.map(connections.valkey, (client) => {
      const prefix = `${keyPrefix}limit`
      const limiter = new RateLimiterValkey({
        storeClient: client,
        keyPrefix: prefix,
        points: 1,
        duration: 86_400,
      })
      return {
        keyOf: (userId) => `${prefix}:${userId}`,
        run: inFlight(callers, drafts, ({ owner_id }) =>
          Effect.promise(() => isRefused(limiter, owner_id)),
        ).pipe(Effect.map((answers) => answers.filter((refused) => refused).length)),
      }
    }),
}
