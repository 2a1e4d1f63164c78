import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { sql } from "slonik"
import type { HistoryRange, HistoryScope } from "../../src/domain/History.ts"
import * as PostgresLayer from "../../src/layers/postgres/Postgres.ts"
import * as HistoryRows from "../../src/layers/postgres/HistoryRows.ts"
import { Postgres } from "../../src/services/Postgres.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { freshDatabase, query } from "../support/Servers.ts"

const fill = `
  INSERT INTO chat_messages (message_id, cache_id, owner_id, username, channel, message, authored_at)
  SELECT gen_random_uuid(), n, n % 100, 'ada', CASE WHEN n % 10000 = 0 THEN 'rare' ELSE (n % 50)::text END, 'Hello', now()
  FROM generate_series(1, 60000) AS n;
  INSERT INTO private_messages (message_id, cache_id, owner_id, username, recipient_id, recipient, message, authored_at)
  SELECT gen_random_uuid(), n, n % 2000, 'ada', (n * 7) % 2000, 'bob', 'Hello', now()
  FROM generate_series(1, 60000) AS n;
  ANALYZE chat_messages; ANALYZE private_messages`

const scopes: ReadonlyArray<HistoryScope> = [
  { queue: "public" },
  { queue: "public", channel: "7" },
  { queue: "public", channel: "rare" },
  { queue: "public", channel: "none" },
  { queue: "private", userId: "7" },
  { queue: "private", userId: "none" },
]

const middle = { cache_id: 30_000, message_id: "00000000-0000-7000-8000-000000000001" }

const ranges: ReadonlyArray<HistoryRange> = [
  { direction: "before", from: undefined },
  { direction: "before", from: middle },
  { direction: "after", from: middle },
]

interface Plan {
  readonly "Node Type": string
  readonly "Actual Rows": number
  readonly "Actual Loops": number
  readonly "Rows Removed by Filter"?: number
  readonly Plans?: ReadonlyArray<Plan>
}

/** The rows that were looked at, whether they became part of the answer or not. */
const rowsRead = (plan: Plan): number =>
  (plan.Plans ?? []).reduce(
    (sum, child) => sum + rowsRead(child),
    plan["Node Type"].includes("Scan")
      ? (plan["Actual Rows"] + (plan["Rows Removed by Filter"] ?? 0)) * plan["Actual Loops"]
      : 0,
  )

it.live("a page of any history reads little more than itself, however large the table is", () =>
  Effect.gen(function* () {
    const postgres = yield* Postgres
    yield* postgres.probe
    const { url } = yield* PostgresServer
    yield* query(url, fill)
    for (const scope of scopes) {
      for (const range of ranges) {
        const select = HistoryRows.select(scope, range, 51, [])
        const [row] = yield* postgres.read<{ readonly "QUERY PLAN": ReadonlyArray<{ readonly Plan: Plan }> }>(
          "explain",
          sql.unsafe`EXPLAIN (ANALYZE, FORMAT JSON) ${select}`,
        )
        const name = scope.queue === "public" ? scope.channel : scope.userId
        assert.isBelow(
          rowsRead(row!["QUERY PLAN"][0]!.Plan),
          500,
          `${scope.queue} ${name} ${range.direction}`,
        )
      }
    }
  }).pipe(Effect.provide(PostgresLayer.layer.pipe(Layer.provideMerge(freshDatabase)))),
)
