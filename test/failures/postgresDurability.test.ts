/** What PostgreSQL has confirmed is there after a crash, and where it would not be, the operator is told. */
import { assert, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { vi } from "vitest"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import * as PostgresFailure from "../support/postgresFailure.ts"
import { ControlledPostgres, query } from "../support/Servers.ts"

// Servers and daemons start and recover, on a machine that may be busy, and some failures last for a deadline.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

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

layer(scene(), { excludeTestServices: true })("What a crash may cost", (it) => {
  it.effect.each(findings)("$name: told by readiness and status until it is repaired", (finding) =>
    Effect.gen(function* () {
      const { accounts, daemon } = yield* Scene
      yield* Effect.acquireRelease(finding.begin, () => finding.end)
      yield* isDegraded(daemon, finding.says)
      const { body } = yield* Daemon.request("GET", `${daemon.url}/status`)
      assert.match(body.problems.join(" "), finding.says)
      // It is no reason to stop: what is taken is safe in Valkey, and is stored.
      yield* accounts.publishAll(daemon.url, 5)
      assert.strictEqual((yield* flush(daemon)).status, 200)
      yield* finding.end
      yield* settles
    }).pipe(Effect.scoped),
  )

  it.effect("all of that is told in the log of a daemon that starts", () =>
    Effect.gen(function* () {
      const { keyPrefix } = yield* Scene
      yield* Effect.forEach(findings, ({ begin, end }) => Effect.acquireRelease(begin, () => end))
      const daemon = yield* Daemon.start({ environment: { CHAT_CACHE_KEY_PREFIX: keyPrefix } })
      for (const { says } of findings) {
        yield* eventually(
          `the log says ${says}`,
          Effect.map(daemon.output, (output) => says.test(output)),
        )
      }
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
