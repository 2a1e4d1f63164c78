import { Clock, Effect, Layer } from "effect"
import { sql } from "slonik"
import type { AuditCheck } from "../domain/AuditCheck.ts"
import { Audit } from "../services/Audit.ts"
import { type Diagnosis, Doctor } from "../services/Doctor.ts"
import { CacheHealth, type Finding, StoreHealth } from "../services/Health.ts"
import { Migrator } from "../services/Migrator.ts"
import { Postgres } from "../services/Postgres.ts"
import { Valkey } from "../services/Valkey.ts"

/** What the checks of the servers say when they have found nothing. */
const passed: Readonly<Record<"valkey" | "postgres", Readonly<Record<string, string>>>> = {
  valkey: {
    version: "The version of the server has everything that is needed.",
    role: "The server is a primary.",
    "maxmemory-policy": "Valkey drops nothing when memory runs short.",
    "key-types": "No other program uses a key of chat-cache.",
    appendonly: "The append-only file is on.",
    "appendonly-write": "The append-only file can be written.",
    permissions: "The Valkey user may do what is needed.",
  },
  postgres: {
    "postgres-fsync": "PostgreSQL writes to its disk what it has confirmed.",
    "postgres-full-page-writes": "PostgreSQL survives a power failure.",
    "postgres-unlogged-tables": "No table is emptied by a crash.",
  },
}

/** What the audit says where it has found nothing. */
const passedAudit: Readonly<Record<AuditCheck, string>> = {
  rows: "The message tables have the rows that the journal tells of.",
  quarantine: "The quarantine is what the journal says of it.",
  journal: "The journal has no holes.",
  "stored-and-quarantined": "No message is stored and quarantined at once.",
  "queued-and-stored": "Nothing that is queued is stored already.",
  counter: "The id counters are not behind the tables.",
  recent: "The recent messages are queued or stored.",
  books: "Every accepted message is stored, quarantined or queued.",
}

/** Without these there is nothing to recount. */
const needed = ["valkey", "postgres", "postgres-version", "schema"]

const ok = (check: string, reason: string): Diagnosis => ({ severity: "ok", check, reason })
const error = (check: string, reason: string): Diagnosis => ({ severity: "error", check, reason })

const diagnosisOf = ({ severity, check, reason }: Finding): Diagnosis => ({
  severity: severity === "warning" ? "warning" : "error",
  check,
  reason,
})

const withPassed = (
  checks: Readonly<Record<string, string>>,
  findings: ReadonlyArray<Finding>,
): ReadonlyArray<Diagnosis> => [
  ...findings.map(diagnosisOf),
  ...Object.entries(checks)
    .filter(([check]) => !findings.some((finding) => finding.check === check))
    .map(([check, reason]) => ok(check, reason)),
]

const orError =
  (check: string) =>
  <E extends { readonly message: string }>(
    effect: Effect.Effect<Diagnosis | ReadonlyArray<Diagnosis>, E>,
  ): Effect.Effect<ReadonlyArray<Diagnosis>> =>
    effect.pipe(
      Effect.map((found) =>
        Array.isArray(found) ? (found as ReadonlyArray<Diagnosis>) : [found as Diagnosis],
      ),
      Effect.catchAll(({ message }) => Effect.succeed([error(check, message)])),
    )

/** How far a clock may be off before it is told: rate limits and times are read by people, nothing rests on them. */
const clockTolerance = 2000

/** @param ask for the server's time, in milliseconds */
const clock = <E, R>(check: string, server: string, ask: Effect.Effect<number, E, R>) =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    const there = yield* ask
    const after = yield* Clock.currentTimeMillis
    const apart = Math.max(0, before - there, there - after)
    return apart <= clockTolerance
      ? ok(check, `The clocks of this machine and of ${server} agree.`)
      : {
          severity: "warning" as const,
          check,
          reason: `The clock of ${server} is ${(apart / 1000).toFixed(1)} s ${there < before ? "behind" : "ahead of"} that of this machine: times of messages and of events do not fit together. Set both by NTP.`,
        }
  })

const lossWindows: Readonly<Record<string, string>> = {
  always: "nothing is lost with a power failure",
  everysec: "at most about two seconds are lost with a power failure",
  no: "a power failure loses what the system has not written by itself yet, up to half a minute",
}

interface Grants {
  readonly table: string
  readonly missing: ReadonlyArray<string>
}

const grantsStatement = sql.unsafe`
  SELECT given.name AS table, ARRAY(
    SELECT right_name FROM unnest(given.rights) AS right_name
    WHERE NOT has_table_privilege(to_regclass(given.name), right_name)
  ) AS missing
  FROM (VALUES
    ('chat_messages', ARRAY['SELECT', 'INSERT', 'DELETE']),
    ('private_messages', ARRAY['SELECT', 'INSERT', 'DELETE']),
    ('quarantined_messages', ARRAY['SELECT', 'INSERT', 'UPDATE']),
    ('events', ARRAY['SELECT', 'INSERT']),
    ('deleted_messages', ARRAY['SELECT', 'INSERT'])
  ) AS given (name, rights)
  WHERE to_regclass(given.name) IS NOT NULL`

/** The first version with `client_connection_check_interval`. */
const oldestPostgres = 140_000

const make = Effect.gen(function* () {
  const audit = yield* Audit
  const cacheHealth = yield* CacheHealth
  const storeHealth = yield* StoreHealth
  const migrator = yield* Migrator
  const postgres = yield* Postgres
  const valkey = yield* Valkey

  const lossWindow = Effect.gen(function* () {
    const reply = yield* valkey.send("doctor", ["config", "get", "appendfsync"])
    const policy = Array.isArray(reply) ? String(reply[1]) : "unknown"
    const window = lossWindows[policy]
    return window === undefined
      ? { severity: "notice" as const, check: "appendfsync", reason: `appendfsync is ${policy}.` }
      : ok("appendfsync", `appendfsync is ${policy}: where the append-only file is on, ${window}.`)
  }).pipe(
    Effect.orElseSucceed(() => ({
      severity: "notice" as const,
      check: "appendfsync",
      reason: "Valkey does not tell how often it writes its append-only file to its disk.",
    })),
  )

  const cache = Effect.gen(function* () {
    const findings = yield* cacheHealth.findings
    // Nothing is known of a server that does not answer.
    if (findings.some(({ check }) => check === "valkey")) return findings.map(diagnosisOf)
    const time = Effect.map(valkey.send("doctor", ["time"]), (reply) => {
      const [seconds, micros] = reply as ReadonlyArray<string>
      return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
    })
    return [
      ok("valkey", `Valkey at ${valkey.address} answers.`),
      ...withPassed(passed.valkey, findings),
      yield* lossWindow,
      ...(yield* clock("valkey-clock", "Valkey", time).pipe(orError("valkey-clock"))),
    ]
  })

  const version = postgres
    .read<{ readonly number: number; readonly text: string }>(
      "Doctor.version",
      sql.unsafe`SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text`,
    )
    .pipe(
      Effect.map(([row]) =>
        row!.number >= oldestPostgres
          ? ok("postgres", `PostgreSQL ${row!.text} answers.`)
          : error("postgres-version", `PostgreSQL is of version ${row!.text}: use 14 or later.`),
      ),
    )

  const grants = Effect.map(postgres.read<Grants>("Doctor.grants", grantsStatement), (tables) => {
    const lacking = tables.filter(({ missing }) => missing.length > 0)
    return lacking.length === 0
      ? [ok("grants", "The PostgreSQL user may do what is needed.")]
      : lacking.map(({ table, missing }) =>
          error(
            "grants",
            `The PostgreSQL user lacks ${missing.join(", ")} on ${table}: GRANT ${missing.join(", ")} ON ${table} TO it.`,
          ),
        )
  })

  const schema = Effect.map(migrator.pending, (pending) =>
    pending.length === 0
      ? ok("schema", "The tables are those of this version.")
      : error(
          "schema",
          `Migrations are missing (${pending.join(", ")}): \`chat-cache migrate\` applies them.`,
        ),
  )

  const storage = Effect.gen(function* () {
    const found = yield* version.pipe(orError("postgres"))
    if (found.some(({ severity }) => severity === "error")) return found
    yield* storeHealth.probe
    const problem = yield* storeHealth.problem
    // The findings are as old as the last probe that went well.
    if (problem !== undefined) return [error("postgres", problem)]
    const time = Effect.map(
      postgres.read<{ readonly millis: number }>(
        "Doctor.clock",
        sql.unsafe`SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis`,
      ),
      ([row]) => row!.millis,
    )
    return [
      ...found,
      ...withPassed(passed.postgres, yield* storeHealth.findings),
      ...(yield* schema.pipe(orError("schema"))),
      ...(yield* grants.pipe(orError("grants"))),
      ...(yield* clock("postgres-clock", "PostgreSQL", time).pipe(orError("postgres-clock"))),
    ]
  })

  /** Needs both servers and all tables. */
  const books = Effect.map(audit.report, ({ findings }) => [
    ...findings.map(({ severity, check, queue, reason, examples }) => ({
      severity,
      check,
      reason: `${queue}: ${reason}${examples.length === 0 ? "" : ` (${examples.join(", ")})`}`,
    })),
    ...Object.entries(passedAudit)
      .filter(([check]) => !findings.some((finding) => finding.check === check))
      .map(([check, reason]) => ok(check, reason)),
  ]).pipe(orError("audit"))

  return Doctor.of({
    examine: Effect.gen(function* () {
      const servers = (yield* Effect.all([cache, storage], { concurrency: "unbounded" })).flat()
      const isBroken = servers.some(({ severity, check }) => severity === "error" && needed.includes(check))
      return isBroken ? servers : [...servers, ...(yield* books)]
    }),
  })
})

export const layer: Layer.Layer<
  Doctor,
  never,
  Audit | CacheHealth | Migrator | Postgres | StoreHealth | Valkey
> = Layer.effect(Doctor, make)
