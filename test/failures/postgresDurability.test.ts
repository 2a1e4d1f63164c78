/** What PostgreSQL has confirmed is there after a crash, and where it would not be, the operator is told. */
import { assert, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import * as PostgresFailure from "../support/postgresFailure.ts"
import { ControlledPostgres, query } from "../support/Servers.ts"

const { control, flush, isDegraded, isWell, Scene, scene, settles, signalBackends, stored } = PostgresFailure

const reload = control("SELECT pg_reload_conf()")

const setting = (name: string) => ({
  begin: Effect.zipRight(control(`ALTER SYSTEM SET ${name} = off`), reload),
  end: Effect.zipRight(control(`ALTER SYSTEM RESET ${name}`), reload),
})

const findings = [
  {
    name: "an unlogged table, which a crash would empty",
    begin: control("ALTER TABLE chat_messages SET UNLOGGED"),
    end: control("ALTER TABLE chat_messages SET LOGGED"),
    says: /unlogged tables .*chat_messages.*ALTER TABLE chat_messages SET LOGGED/,
  },
  {
    name: "fsync=off, with which a power failure may cost everything",
    ...setting("fsync"),
    says: /fsync is off in PostgreSQL.*ALTER SYSTEM SET fsync = on/,
  },
  {
    name: "full_page_writes=off, with which a power failure may cost everything",
    ...setting("full_page_writes"),
    says: /full_page_writes is off in PostgreSQL.*ALTER SYSTEM SET full_page_writes = on/,
  },
]

layer(scene(), { excludeTestServices: true, timeout: "1 minute" })("What a crash may cost", (it) => {
  it.effect.each(findings)("$name: told at start, by readiness and status, until it is repaired", (finding) =>
    Effect.gen(function* () {
      const { accounts, daemon, keyPrefix } = yield* Scene
      yield* Effect.acquireRelease(finding.begin, () => finding.end)
      yield* isDegraded(daemon, finding.says)
      const { body } = yield* Daemon.request("GET", `${daemon.url}/status`)
      assert.match(body.problems.join(" "), finding.says)
      const next = yield* Daemon.start({ environment: { CHAT_CACHE_KEY_PREFIX: keyPrefix } })
      yield* eventually(
        "it is in the log of one that starts",
        Effect.map(next.output, (output) => finding.says.test(output)),
      )
      // It is no reason to stop: what is taken is safe in Valkey, and is stored.
      yield* accounts.publishAll(daemon.url, 5)
      assert.strictEqual((yield* flush(daemon)).status, 200)
      yield* finding.end
      yield* settles
    }).pipe(Effect.scoped),
  )

  it.effect(
    "synchronous_commit=off of the role: COMMIT waits for the disk all the same, and a crash costs nothing",
    () =>
      Effect.gen(function* () {
        const { accounts, daemon } = yield* Scene
        const postgres = yield* ControlledPostgres
        yield* control("CREATE TABLE canary (song text)")
        yield* control(
          "ALTER ROLE chat_cache SET synchronous_commit = off; ALTER ROLE app SET synchronous_commit = off",
        )
        yield* PostgresFailure.terminateConnections
        yield* isWell(daemon)
        // Nobody writes the log of transactions now but those that wait for it.
        const writers = yield* control(
          "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer', 'checkpointer')",
        )
        yield* signalBackends(
          writers.map(({ pid }) => pid as number),
          "SIGSTOP",
        )
        yield* accounts.publishAll(daemon.url, 50)
        const before = yield* stored
        assert.strictEqual((yield* flush(daemon)).body.public.persisted, 50)
        yield* query(Redacted.make(Redacted.value(postgres.url)), "INSERT INTO canary VALUES ('la')")
        yield* postgres.kill
        yield* postgres.start
        assert.deepStrictEqual(
          yield* control("SELECT * FROM canary"),
          [],
          "this crash costs what did not wait",
        )
        assert.strictEqual(yield* stored, before + 50)
        yield* settles
      }),
  )
})
