import { Effect, Layer, Ref } from "effect"
import { sql } from "slonik"
import { type Finding, StoreHealth } from "../services/Health.ts"
import { Postgres } from "../services/Postgres.ts"

interface Row {
  readonly fsync: string
  readonly full_page_writes: string
  readonly unlogged_tables: ReadonlyArray<string>
}

/** The tables are those that the connection finds, in whatever schema they are. */
const look = sql.unsafe`
  SELECT
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    ARRAY(
      SELECT relname::text FROM pg_class
      WHERE oid IN (
        to_regclass('chat_messages'), to_regclass('private_messages'),
        to_regclass('quarantined_messages'), to_regclass('deleted_messages'),
        to_regclass('events')
      ) AND relpersistence <> 'p'
      ORDER BY relname
    ) AS unlogged_tables`

const settingProblem = (name: string, value: string, risk: string): Finding | undefined =>
  value === "off"
    ? {
        check: `postgres-${name.replaceAll("_", "-")}`,
        severity: "unsafe",
        reason: `${name} is off in PostgreSQL: ${risk}. Turn it on: ALTER SYSTEM SET ${name} = on, then SELECT pg_reload_conf(), and see that no option of its command line turns it off.`,
      }
    : undefined

const unloggedProblem = (tables: ReadonlyArray<string>): Finding | undefined =>
  tables.length === 0
    ? undefined
    : {
        check: "postgres-unlogged-tables",
        severity: "unsafe",
        reason: `PostgreSQL empties unlogged tables when it recovers from a crash, and these hold messages: ${tables.join(", ")}. Make them permanent: ${tables.map((table) => `ALTER TABLE ${table} SET LOGGED`).join("; ")}.`,
      }

const findingsOf = ({ fsync, full_page_writes, unlogged_tables }: Row): ReadonlyArray<Finding> =>
  [
    settingProblem(
      "fsync",
      fsync,
      "when its machine stops unexpectedly, stored messages are lost and the database may be beyond repair",
    ),
    settingProblem(
      "full_page_writes",
      full_page_writes,
      "when its machine stops unexpectedly, the database may be beyond repair",
    ),
    unloggedProblem(unlogged_tables),
  ].filter((finding) => finding !== undefined)

const make = Effect.gen(function* () {
  const postgres = yield* Postgres
  const findings = yield* Ref.make<ReadonlyArray<Finding>>([])
  const probe = postgres.probe.pipe(
    Effect.zipRight(postgres.read<Row>("StoreHealth.probe", look)),
    Effect.flatMap(([row]) => Ref.set(findings, findingsOf(row!))),
    // What the probe fails with is told by `problem`.
    Effect.ignore,
    Effect.withSpan("StoreHealth.probe"),
  )
  return StoreHealth.of({ problem: postgres.problem, findings: Ref.get(findings), probe })
})

/** Whether the PostgreSQL server is one that keeps what it has confirmed. */
export const layer: Layer.Layer<StoreHealth, never, Postgres> = Layer.effect(StoreHealth, make)
