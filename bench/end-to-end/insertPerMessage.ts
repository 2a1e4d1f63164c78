import { Effect, Redacted } from "effect"
import { Pool } from "pg"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { inFlight } from "../support/inFlight.ts"
import { completeNow } from "../support/messages.ts"
import type { EndToEndContestant } from "./EndToEndContestant.ts"
import { name as baseline } from "./wholeList.ts"

const poolSize = 10

const statement = {
  name: "bench_insert",
  text: `INSERT INTO chat_messages (message_id, cache_id, owner_id, username, channel, message, authored_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)`,
}

const insert = (pool: Pool, draft: PublicMessageDraft, id: number): Promise<unknown> => {
  const { message_id, owner_id, username, channel, message, authored_at } = completeNow(draft)
  return pool.query({
    ...statement,
    values: [message_id, id, owner_id, username, channel, message, authored_at],
  })
}

const openPool = Effect.flatMap(PostgresServer, ({ url }) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      new Pool({ connectionString: Redacted.value(url), max: poolSize }).on("error", () => {}),
    ),
    (pool) => Effect.promise(() => pool.end()),
  ),
)

/** Without Valkey and without any gathering: what an application does that simply stores. */
export const contestant: EndToEndContestant = {
  name: `INSERT per message, pool of ${poolSize}, without Valkey`,
  baseline,
  oneOf: 4,
  open: ({ drafts, callers }) =>
    Effect.map(openPool, (pool) => ({
      run: Effect.suspend(() => {
        let lastId = 0
        return Effect.asVoid(
          inFlight(callers, drafts, (draft) => Effect.promise(() => insert(pool, draft, ++lastId))),
        )
      }),
    })),
}
