import { Effect, Either } from "effect"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import type { PublishError } from "../../src/services/Publisher.ts"
import { inFlight } from "../support/inFlight.ts"
import * as publisher from "../support/publisher.ts"
import type { LimiterContestant } from "./LimiterContestant.ts"
import { name as baseline } from "./rateLimiterFlexible.ts"

const isRefused = (outcome: Either.Either<unknown, PublishError>): boolean =>
  Either.isLeft(outcome) && outcome.left._tag === "RateLimited"

/** chat-cache has no limiter apart from publishing: a message over the limit is counted, refused, and leaves nothing else. */
export const contestant: LimiterContestant = {
  name: "chat-cache publish over the limit",
  baseline,
  open: ({ keyPrefix, drafts, callers }) =>
    Effect.map(
      publisher.open({ keyPrefix, rateLimit: { message_limit: 1, window_seconds: 86_400 } }),
      ({ publish }) => ({
        keyOf: Keys.make(keyPrefix).rateLimit,
        run: inFlight(callers, drafts, (draft) =>
          Effect.map(Effect.either(publish("public", draft)), isRefused),
        ).pipe(Effect.map((refused) => refused.filter(Boolean).length)),
      }),
    ),
}
