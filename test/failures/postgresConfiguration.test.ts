/** PostgreSQL answers, and is not as it should be: somebody has to repair it, and nothing is lost or quarantined meanwhile. */
import { layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { vi } from "vitest"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { query } from "../support/Servers.ts"
import * as PostgresFailure from "../support/postgresFailure.ts"

// Servers and daemons start and recover, on a machine that may be busy, and some failures last for a deadline.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const { control, isDegraded, Scene, scene, survives, terminateConnections } = PostgresFailure

/** From another database, because nobody may be connected to the one that is renamed. */
const renameDatabase = (from: string, to: string) =>
  Effect.gen(function* () {
    const { url } = yield* PostgresServer
    const other = new URL(Redacted.value(url))
    other.pathname = "/postgres"
    for (const statement of [
      `ALTER DATABASE ${from} ALLOW_CONNECTIONS false`,
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '${from}'`,
      `ALTER DATABASE ${from} RENAME TO ${to}`,
      `ALTER DATABASE ${to} ALLOW_CONNECTIONS true`,
    ]) {
      yield* query(Redacted.make(other.href), statement)
    }
  })

layer(scene(), { excludeTestServices: true })("PostgreSQL as it should not be", (it) => {
  it.effect("read-only: the alarm says so before anything has to be stored, and the pool is dropped", () =>
    Effect.gen(function* () {
      const { daemon } = yield* Scene
      const says = /read-only.*point DATABASE_URL to the primary/
      yield* survives({
        begin: Effect.gen(function* () {
          yield* control("ALTER DATABASE chat_cache SET default_transaction_read_only = on")
          yield* terminateConnections
          yield* isDegraded(daemon, says)
        }),
        // The connections that are read-only are not ended here: the daemon drops them.
        end: control(
          "BEGIN READ WRITE; ALTER DATABASE chat_cache RESET default_transaction_read_only; COMMIT",
        ),
        says,
        answer: { _tag: "StoreUnavailable" },
      })
    }),
  )

  it.effect("a column is missing: the alarm names it", () =>
    survives({
      begin: control("ALTER TABLE chat_messages RENAME COLUMN channel TO room"),
      end: control("ALTER TABLE chat_messages RENAME COLUMN room TO channel"),
      says: /column "channel" .*does not exist.*SQLSTATE 42703.*repair it/,
      answer: { _tag: "StoreMisconfigured" },
    }),
  )

  it.effect("the database is missing: the alarm names it", () =>
    survives({
      begin: renameDatabase("chat_cache", "elsewhere"),
      end: renameDatabase("elsewhere", "chat_cache"),
      says: /database "chat_cache" does not exist.*create the database, or correct DATABASE_URL/,
      answer: { _tag: "StoreMisconfigured", sqlstate: "3D000" },
    }),
  )

  it.effect("a bad login: the alarm names the user", () =>
    survives({
      begin: Effect.zipRight(control("ALTER ROLE app PASSWORD 'changed'"), terminateConnections),
      end: control("ALTER ROLE app PASSWORD 'open-sesame'"),
      says: /password authentication failed for user "app".*correct the user and the password in DATABASE_URL/,
      answer: { _tag: "StoreMisconfigured", sqlstate: "28P01" },
    }),
  )

  it.effect("too many clients: the alarm says so", () =>
    survives({
      begin: Effect.zipRight(control("ALTER ROLE app CONNECTION LIMIT 0"), terminateConnections),
      end: control("ALTER ROLE app CONNECTION LIMIT -1"),
      says: /too many connections.*raise max_connections, or close other connections/,
      answer: { _tag: "StoreUnavailable", sqlstate: "53300" },
    }),
  )

  it.effect(
    "a right is missing: the alarm names the table (Kafka's JDBC sink, issue 1312, sent everything to the dead letters)",
    () =>
      survives({
        begin: control("REVOKE INSERT ON chat_messages, private_messages FROM app"),
        end: control("GRANT INSERT ON chat_messages, private_messages TO app"),
        says: /permission denied for table (chat|private)_messages.*SQLSTATE 42501.*repair it/,
        answer: { _tag: "StoreMisconfigured", sqlstate: "42501" },
      }),
  )
})
