import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import * as connections from "../support/connections.ts"
import { inFlight } from "../support/inFlight.ts"
import { complete } from "../support/messages.ts"
import type { PublishContestant } from "./PublishContestant.ts"

const script = readFileSync(new URL("publishMessage-3.lua", import.meta.url), "utf8")

export const name = "one EVALSHA per message"

const payloadOf = (draft: PublicMessageDraft): string =>
  JSON.stringify(complete(draft, randomUUID(), new Date().toISOString()))

/** The baseline: each caller makes a script call of its own. No validation, no rate limit, no bound on the queue. */
export const contestant: PublishContestant = {
  name,
  open: ({ keyPrefix, drafts, callers, maxCacheSize }) =>
    Effect.gen(function* () {
      const client = yield* connections.valkey
      const sha1 = yield* Effect.promise(() => client.script("LOAD", script))
      return { client, sha1: sha1 as string, keys: Keys.make(keyPrefix) }
    }).pipe(
      Effect.map(({ client, sha1, keys }) =>
        inFlight(callers, drafts, (draft) =>
          Effect.promise(() =>
            client.evalsha(
              sha1,
              3,
              keys.counter.public,
              keys.recent,
              keys.flushQueue.public,
              payloadOf(draft),
              maxCacheSize,
            ),
          ),
        ),
      ),
      Effect.map(Effect.map((ids) => ids as ReadonlyArray<number>)),
    ),
}
