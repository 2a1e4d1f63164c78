import { describe, expect, it, layer } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { readdirSync } from "node:fs"
import { PG_MIGRATE_LOCK_ID } from "node-pg-migrate"
import { randomUUID } from "node:crypto"
import { Client } from "pg"
import { sql } from "slonik"
import * as PostgresLayer from "../../src/layers/postgres/Postgres.ts"
import { Postgres, type PostgresTransaction } from "../../src/services/Postgres.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { eventually } from "../support/eventually.ts"
import { ControlledPostgres, controlledPostgres, freshDatabase, query } from "../support/Servers.ts"
import * as TcpProxy from "../support/TcpProxy.ts"

const live = { excludeTestServices: true } as const

/** Runs statements on the server with a connection of its own. */
const control = (statement: string, values: ReadonlyArray<unknown> = []) =>
  Effect.flatMap(PostgresServer, ({ url }) => query(url, statement, values))

const transact = <A, E>(body: (transaction: PostgresTransaction) => Effect.Effect<A, E>) =>
  Effect.flatMap(Postgres, (postgres) => postgres.transaction("test", body))

const backendPid = ({ query: ask }: PostgresTransaction) =>
  Effect.map(
    ask<{ readonly pid: number }>(sql.unsafe`SELECT pg_backend_pid() AS pid`),
    ({ rows }) => rows[0]!.pid,
  )

const append = (transaction: PostgresTransaction, type = "test") =>
  transaction.query(sql.unsafe`INSERT INTO events (type, data) VALUES (${type}, '{}')`)

const eventTypes = Effect.map(control("SELECT type FROM events ORDER BY position"), (rows) =>
  rows.map(({ type }) => type),
)

const problem = Effect.flatMap(Postgres, (postgres) => postgres.problem)
const probe = Effect.flatMap(Postgres, (postgres) => postgres.probe)

/** Connections that chat-cache has to the database. */
const connections = Effect.map(
  control(
    `SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'chat-cache'`,
  ),
  (rows) => rows.map(({ pid }) => pid as number),
)

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    const exit = yield* Effect.exit(effect)
    return { exit, millis: (yield* Clock.currentTimeMillis) - before }
  })

layer(controlledPostgres, live)("A server that goes away", (it) => {
  const short = PostgresLayer.layerWith({
    transactionDeadline: "700 millis",
    probeDeadline: "700 millis",
    connectTimeout: "500 millis",
    terminationTimeout: "100 millis",
  })
  /** The deadline, what a connection may take to end, and patience for a busy machine. */
  const longest = 5000

  it.effect("may be down when the layer is built, and serves as soon as it has started", () =>
    Effect.gen(function* () {
      const server = yield* ControlledPostgres
      yield* server.stop
      yield* Effect.gen(function* () {
        expect(yield* problem).toBeUndefined()
        expect(yield* Effect.flip(probe)).toMatchObject({
          _tag: "StoreUnavailable",
          reason: expect.stringContaining("ECONNREFUSED"),
          sqlstate: null,
        })
        const sentence = yield* problem
        expect(sentence).toMatch(
          new RegExp(
            `^PostgreSQL at 127\\.0\\.0\\.1:${server.port} cannot be reached since \\d{4}-[^ ]+Z \\(connect ECONNREFUSED`,
          ),
        )
        yield* Effect.ignore(probe)
        expect(yield* problem).toBe(sentence)
        yield* server.start
        yield* transact(append)
        expect(yield* problem).toBeUndefined()
        expect(yield* eventTypes).toEqual(["test"])
      }).pipe(Effect.provide(PostgresLayer.layer))
    }),
  )

  it.effect("may be stopped, killed and started again", () =>
    Effect.gen(function* () {
      const server = yield* ControlledPostgres
      for (const end of [server.stop, server.kill]) {
        yield* probe
        yield* end
        expect((yield* Effect.flip(probe))._tag).toBe("StoreUnavailable")
        yield* server.start
        yield* probe
      }
    }).pipe(Effect.provide(PostgresLayer.layer)),
  )

  it.effect("fails what runs when it is killed", () =>
    Effect.gen(function* () {
      const server = yield* ControlledPostgres
      const error = yield* transact((transaction) =>
        append(transaction, "lost").pipe(Effect.zipRight(server.kill)),
      ).pipe(Effect.flip)
      expect(error._tag).toBe("StoreUnavailable")
      yield* server.start
      expect(yield* eventTypes).not.toContain("lost")
    }).pipe(Effect.provide(PostgresLayer.layer)),
  )

  it.effect("holds nobody longer than the deadline when it hangs, and serves again when it goes on", () =>
    Effect.gen(function* () {
      const server = yield* ControlledPostgres
      yield* Effect.all([probe, probe, probe], { concurrency: "unbounded" })
      const late = { _tag: "StoreUnavailable", reason: "no answer within 700ms", sqlstate: null }
      const hung = transact((transaction) =>
        append(transaction, "hung").pipe(
          Effect.zipRight(server.pause),
          Effect.zipRight(append(transaction, "hung")),
        ),
      )
      const { exit, millis } = yield* timed(Effect.flip(hung))
      expect(exit).toMatchObject({ value: late })
      expect(millis).toBeGreaterThanOrEqual(700)
      expect(millis).toBeLessThan(longest)
      // Twice as many as there are connections: half of them can only wait for one.
      const crowd = yield* timed(
        Effect.forEach(Array.from({ length: 8 }), () => Effect.flip(probe), { concurrency: "unbounded" }),
      )
      expect(Exit.isSuccess(crowd.exit)).toBe(true)
      expect(crowd.millis).toBeLessThan(longest)
      expect(yield* problem).toContain("cannot be reached")
      yield* server.resume
      yield* transact((transaction) => append(transaction, "after"))
      expect(yield* problem).toBeUndefined()
      expect(yield* eventTypes).toContain("after")
      expect(yield* eventTypes).not.toContain("hung")
    }).pipe(Effect.provide(short)),
  )

  it.effect("lets the layer close while it hangs", () =>
    Effect.gen(function* () {
      const server = yield* ControlledPostgres
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(short, scope)
      yield* Effect.provide(probe, context)
      yield* server.pause
      const { millis } = yield* timed(Scope.close(scope, Exit.void))
      expect(millis).toBeLessThan(longest)
      yield* server.resume
    }),
  )
})

/** A layer of its own on a database of its own. */
const onFreshDatabase = <A, E>(
  effect: Effect.Effect<A, E, Postgres | PostgresServer | Scope.Scope>,
  options: Partial<PostgresLayer.PostgresOptions> = {},
) =>
  Effect.scoped(effect).pipe(
    Effect.provide(PostgresLayer.layerWith(options).pipe(Layer.provideMerge(freshDatabase))),
  )

const terminate = (pids: ReadonlyArray<number>) =>
  control("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", [pids])

const alterDatabase = (change: string) =>
  Effect.flatMap(PostgresServer, ({ url }) =>
    query(
      url,
      `BEGIN READ WRITE; ALTER DATABASE ${new URL(Redacted.value(url)).pathname.slice(1)} ${change}; COMMIT`,
    ),
  )

/** Layers on the same database, reached by another URL. */
const reachedBy = (
  change: (url: URL) => URL | string,
  options: Partial<PostgresLayer.PostgresOptions> = {},
) =>
  Layer.unwrapEffect(
    Effect.map(PostgresServer, ({ url }) =>
      PostgresLayer.layerWith(options).pipe(
        Layer.provide(
          Layer.succeed(PostgresServer, {
            url: Redacted.make(String(change(new URL(Redacted.value(url))))),
          }),
        ),
      ),
    ),
  )

describe("A transaction", () => {
  it.live("fails when its backend is terminated between two statements, and leaves nothing", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const context = yield* Effect.context<PostgresServer>()
        const error = yield* transact(
          Effect.fnUntraced(function* (transaction) {
            yield* append(transaction)
            yield* Effect.provide(terminate([yield* backendPid(transaction)]), context)
            yield* append(transaction)
          }),
        ).pipe(Effect.flip)
        expect(error).toMatchObject({
          _tag: "StoreUnavailable",
          reason: "terminating connection due to administrator command",
          sqlstate: "57P01",
        })
        expect(yield* problem).toContain("is unavailable since")
        expect(yield* eventTypes).toEqual([])
        yield* transact(append)
        expect(yield* eventTypes).toEqual(["test"])
      }),
    ),
  )

  it.live("fails when its backend is terminated before COMMIT", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const context = yield* Effect.context<PostgresServer>()
        const error = yield* transact((transaction) =>
          Effect.gen(function* () {
            yield* append(transaction)
            yield* terminate([yield* backendPid(transaction)])
          }).pipe(Effect.provide(context)),
        ).pipe(Effect.flip)
        expect(error).toMatchObject({ _tag: "StoreUnavailable", sqlstate: "57P01" })
        expect(yield* eventTypes).toEqual([])
      }),
    ),
  )

  it.live("says that the outcome of COMMIT is unknown when its reply is lost", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const { url } = yield* PostgresServer
        const proxy = yield* TcpProxy.make(Redacted.value(url))
        const through = reachedBy((direct) => proxy.through(direct.href))
        const context = yield* Layer.build(through)
        yield* Effect.provide(probe, context)
        const running = yield* transact((transaction) =>
          append(transaction).pipe(Effect.zipRight(proxy.setMode("dropReplies"))),
        ).pipe(Effect.provide(context), Effect.flip, Effect.fork)
        yield* eventually(
          "the row is there",
          Effect.map(eventTypes, (types) => types.length === 1),
        )
        yield* proxy.setMode("pass")
        expect(yield* Fiber.join(running)).toMatchObject({
          _tag: "StoreUnavailable",
          reason: expect.stringContaining("the outcome of COMMIT is unknown"),
          sqlstate: null,
        })
        yield* Effect.provide(transact(append), context)
        expect(yield* eventTypes).toEqual(["test", "test"])
      }),
    ),
  )

  it.live("cannot be committed after a statement has failed, even if the failure was caught", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const error = yield* transact((transaction) =>
          append(transaction).pipe(
            Effect.zipRight(Effect.ignore(transaction.query(sql.unsafe`SELECT * FROM nowhere`))),
            Effect.zipRight(Effect.flip(append(transaction))),
          ),
        ).pipe(Effect.flip)
        expect(error).toMatchObject({
          _tag: "StoreMisconfigured",
          reason: 'relation "nowhere" does not exist',
          sqlstate: "42P01",
        })
        expect(yield* eventTypes).toEqual([])
      }),
    ),
  )

  it.live("cannot be committed after a statement was interrupted, even if the body goes on", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const error = yield* transact((transaction) =>
          append(transaction).pipe(
            Effect.zipRight(
              Effect.timeoutOption(transaction.query(sql.unsafe`SELECT pg_sleep(0.3)`), "50 millis"),
            ),
          ),
        ).pipe(Effect.flip)
        expect(error).toMatchObject({ _tag: "StoreUnavailable", reason: "a statement was interrupted" })
        expect(yield* eventTypes).toEqual([])
      }),
    ),
  )

  it.live("really commits what was done besides an attempt that was refused", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const refused = yield* transact(
          Effect.fnUntraced(function* (transaction) {
            yield* append(transaction, "before")
            const statement = sql.unsafe`INSERT INTO events (type, data) VALUES (${"a\u0000b"}, '{}')`
            const error = yield* Effect.flip(transaction.attempt(statement))
            yield* append(transaction, "after")
            return error
          }),
        )
        expect(refused).toMatchObject({ _tag: "RowsRefused", sqlstate: "22021" })
        expect(yield* eventTypes).toEqual(["before", "after"])
      }),
    ),
  )

  it.live("runs its statements one after the other, also when they are started together", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const bad = sql.unsafe`INSERT INTO quarantined_messages (queue, raw, reason, error) VALUES ('other', '', '', '')`
        yield* transact((transaction) =>
          Effect.all(
            Array.from({ length: 10 }, (_, index) =>
              index % 2 === 0
                ? Effect.asVoid(append(transaction, String(index)))
                : Effect.asVoid(Effect.flip(transaction.attempt(bad))),
            ),
            { concurrency: "unbounded" },
          ),
        )
        expect((yield* eventTypes).toSorted()).toEqual(["0", "2", "4", "6", "8"])
      }),
    ),
  )

  it.live("is interrupted with its statement, and rolled back", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const running = yield* transact((transaction) =>
          Effect.zipRight(append(transaction), transaction.query(sql.unsafe`SELECT pg_sleep(60)`)),
        ).pipe(Effect.fork)
        const sleeping = Effect.map(
          control(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
          ),
          (rows) => rows.length > 0,
        )
        yield* eventually("the statement runs", sleeping)
        expect(Exit.isInterrupted(yield* Fiber.interrupt(running))).toBe(true)
        // Long before the timeout of the statement, which would hold the lock of the journal until then.
        yield* eventually(
          "the server has noticed",
          Effect.map(sleeping, (isSleeping) => !isSleeping),
          "5 seconds",
        )
        yield* transact(append)
        expect(yield* eventTypes).toEqual(["test"])
      }),
      { terminationTimeout: "50 millis" },
    ),
  )

  it.live("has the settings that its promises need, whatever the database has", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        for (const setting of [
          "synchronous_commit = off",
          "statement_timeout = 0",
          "lock_timeout = 0",
          "default_transaction_isolation = serializable",
          "idle_in_transaction_session_timeout = 0",
        ]) {
          yield* alterDatabase(`SET ${setting}`)
        }
        const { rows } = yield* transact(({ query: ask }) =>
          ask(sql.unsafe`
            SELECT current_setting('synchronous_commit') AS synchronous_commit,
                   current_setting('statement_timeout') AS statement_timeout,
                   current_setting('lock_timeout') AS lock_timeout,
                   current_setting('transaction_isolation') AS isolation,
                   current_setting('idle_in_transaction_session_timeout') AS idle_timeout`),
        )
        expect(rows).toEqual([
          {
            synchronous_commit: "on",
            statement_timeout: "10s",
            lock_timeout: "1s",
            isolation: "read committed",
            idle_timeout: "30s",
          },
        ])
      }),
    ),
  )

  it.live("lets the server end a statement that takes too long", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const error = yield* transact(({ query: ask }) => ask(sql.unsafe`SELECT pg_sleep(60)`)).pipe(
          Effect.flip,
        )
        expect(error).toMatchObject({ _tag: "StoreUnavailable", sqlstate: "57014" })
      }),
      { statementTimeout: "100 millis" },
    ),
  )
})

describe("Connections", () => {
  it.live("are at most as many as the pool has, and nobody waits for one beyond the deadline", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const mayEnd = yield* Deferred.make<void>()
        const hold = transact((transaction) => Effect.zipLeft(Deferred.await(mayEnd), append(transaction)))
        const holders = yield* Effect.fork(Effect.all([hold, hold], { concurrency: "unbounded" }))
        yield* eventually(
          "both hold one",
          Effect.map(connections, (pids) => pids.length === 2),
        )
        const { exit } = yield* timed(Effect.flip(probe))
        expect(exit).toMatchObject({ value: { _tag: "StoreUnavailable", reason: "no answer within 300ms" } })
        expect((yield* connections).length).toBe(2)
        yield* Deferred.succeed(mayEnd, undefined)
        yield* Fiber.join(holders)
        expect((yield* eventTypes).length).toBe(2)
        yield* Effect.forEach(Array.from({ length: 20 }), () => transact(append), {
          concurrency: "unbounded",
        })
        expect((yield* eventTypes).length).toBe(22)
        expect((yield* connections).length).toBeLessThanOrEqual(2)
      }),
      { poolSize: 2, probeDeadline: "300 millis" },
    ),
  )

  it.live("are used again", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const pids = yield* Effect.forEach(Array.from({ length: 10 }), () => transact(backendPid))
        expect(new Set(pids).size).toBe(1)
      }),
    ),
  )

  it.live("are closed with the layer", () =>
    Effect.gen(function* () {
      yield* Effect.provide(Effect.all([probe, probe], { concurrency: 2 }), PostgresLayer.layer)
      yield* eventually(
        "none is left",
        Effect.map(connections, (pids) => pids.length === 0),
      )
    }).pipe(Effect.provide(freshDatabase)),
  )

  it.live("that the server has closed while they were idle are replaced without an error", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        yield* Effect.all([probe, probe, probe], { concurrency: "unbounded" })
        yield* terminate(yield* connections)
        yield* eventually(
          "they are gone",
          Effect.map(connections, (pids) => pids.length === 0),
        )
        // One more answer from the server, behind which ours have arrived.
        yield* control("SELECT 1")
        yield* Effect.all([probe, probe, probe], { concurrency: "unbounded" })
      }),
    ),
  )

  it.live(
    "are all dropped when the server has become read-only, because another one is the primary now",
    () =>
      onFreshDatabase(
        Effect.gen(function* () {
          yield* probe
          yield* alterDatabase("SET default_transaction_read_only = on")
          yield* terminate(yield* connections)
          yield* Effect.ignore(probe)
          const both = yield* Deferred.make<void>()
          const opened = yield* Effect.fork(transact(() => Deferred.await(both)))
          yield* transact(() => Deferred.succeed(both, undefined))
          yield* Fiber.join(opened)
          const error = yield* Effect.flip(transact(append))
          expect(error).toMatchObject({
            _tag: "StoreUnavailable",
            reason: "cannot execute INSERT in a read-only transaction",
            sqlstate: "25006",
          })
          yield* alterDatabase("RESET default_transaction_read_only")
          yield* transact(append)
        }),
      ),
  )
})

/** The connection of a process that is migrating the database. */
const anotherMigration = Effect.flatMap(PostgresServer, ({ url }) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: Redacted.value(url) })
      await client.connect()
      await client.query(`SELECT pg_advisory_lock(${PG_MIGRATE_LOCK_ID})`)
      return client
    }),
    (client) => Effect.promise(() => client.end()),
  ),
)

const migrations = readdirSync(new URL("../../migrations/", import.meta.url))
  .sort()
  .map((file) => ({ name: file.replace(/\.sql$/, "") }))

describe("Migrations", () => {
  it.live("run once when several daemons start at once", () =>
    Effect.gen(function* () {
      const daemon = Effect.provide(
        Effect.all([probe, probe], { concurrency: "unbounded" }),
        Layer.fresh(PostgresLayer.layer),
      )
      yield* Effect.all([daemon, daemon, daemon], { concurrency: "unbounded" })
      expect(yield* control("SELECT name FROM chat_cache_migrations ORDER BY id")).toEqual(migrations)
    }).pipe(Effect.provide(freshDatabase)),
  )

  it.live("wait for a process that migrates, and hold nobody beyond his deadline", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const other = yield* anotherMigration
        expect(yield* Effect.flip(probe)).toMatchObject({ reason: "no answer within 300ms" })
        const waiting = yield* Effect.fork(transact(append))
        yield* Effect.promise(() => other.query("SELECT pg_advisory_unlock_all()"))
        yield* Fiber.join(waiting)
        expect(yield* eventTypes).toEqual(["test"])
      }),
      { probeDeadline: "300 millis" },
    ),
  )

  it.live("are not tried for ever: the wait for another process ends with their own deadline", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        yield* anotherMigration
        expect(yield* Effect.flip(probe)).toMatchObject({ _tag: "StoreUnavailable", operation: "migrate" })
      }),
      { migrationDeadline: "300 millis" },
    ),
  )

  it.live("say which right is missing", () =>
    Effect.gen(function* () {
      const role = `role_${randomUUID().replaceAll("-", "")}`
      yield* Effect.acquireRelease(control(`CREATE ROLE ${role} LOGIN PASSWORD 'open-sesame'`), () =>
        control(`DROP ROLE ${role}`),
      )
      const asRole = reachedBy((url) => {
        url.username = role
        url.password = "open-sesame"
        return url
      })
      const error = yield* Effect.flip(Effect.provide(probe, asRole))
      expect(error).toMatchObject({
        _tag: "StoreMisconfigured",
        operation: "migrate",
        reason: "permission denied for schema public",
        sqlstate: "42501",
      })
    }).pipe(Effect.scoped, Effect.provide(freshDatabase)),
  )

  it.live("go into the schema that the connection has", () =>
    Effect.gen(function* () {
      yield* control("CREATE SCHEMA other")
      const other = reachedBy((url) => {
        url.searchParams.set("options", "-c search_path=other")
        return url
      })
      yield* Effect.provide(transact(append), other)
      yield* Effect.provide(probe, PostgresLayer.layer)
      const rows = yield* control(
        "SELECT schemaname FROM pg_tables WHERE tablename IN ('events', 'chat_cache_migrations')",
      )
      expect(rows.map(({ schemaname }) => schemaname).toSorted()).toEqual([
        "other",
        "other",
        "public",
        "public",
      ])
    }).pipe(Effect.provide(freshDatabase)),
  )
})

describe("What is said about a failure", () => {
  const failure = (change: (url: URL) => URL | string) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(probe)
      return { error, sentence: yield* problem }
    }).pipe(Effect.provide(Layer.provide(reachedBy(change), freshDatabase)))

  it.live("names a missing table", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        yield* probe
        yield* control("DROP TABLE events")
        expect(yield* Effect.flip(transact(append))).toMatchObject({
          _tag: "StoreMisconfigured",
          reason: 'relation "events" does not exist',
          sqlstate: "42P01",
        })
        expect(yield* problem).toMatch(
          /is misconfigured since .* \(relation "events" does not exist\): restore the table/,
        )
      }),
    ),
  )

  it.live("does not contain a password", () =>
    Effect.gen(function* () {
      const { error, sentence } = yield* failure((url) => {
        url.password = "wrong-secret"
        return url
      })
      expect(error).toMatchObject({ _tag: "StoreMisconfigured", sqlstate: "28P01" })
      expect(`${error.message} ${String(Object.values(error))} ${sentence}`).not.toContain("secret")
    }),
  )

  it.live("names a missing database", () =>
    Effect.gen(function* () {
      const { error } = yield* failure((url) => {
        url.pathname = "/nowhere"
        return url
      })
      expect(error).toMatchObject({
        _tag: "StoreMisconfigured",
        reason: 'database "nowhere" does not exist',
        sqlstate: "3D000",
      })
    }),
  )

  it.live("says that the URL is none, without quoting it", () =>
    Effect.gen(function* () {
      const { error, sentence } = yield* failure(() => "postgres://user:secret@[nonsense/db")
      expect(error._tag).toBe("StoreUnavailable")
      expect(sentence).toContain("PostgreSQL at the configured address cannot be reached")
      expect(`${error.message} ${sentence}`).not.toContain("secret")
    }),
  )

  it.live("says that the server has no TLS, when sslmode asks for it", () =>
    Effect.gen(function* () {
      const { error } = yield* failure((url) => {
        url.searchParams.set("sslmode", "verify-full")
        return url
      })
      expect(error).toMatchObject({
        _tag: "StoreUnavailable",
        reason: "The server does not support SSL connections",
      })
    }),
  )

  it.live("does not call it a problem that two want the same lock", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const lock = ({ query: ask }: PostgresTransaction) => ask(sql.unsafe`SELECT pg_advisory_xact_lock(1)`)
        const context = yield* Effect.context<Postgres>()
        const error = yield* transact((transaction) =>
          Effect.zipRight(lock(transaction), Effect.provide(Effect.flip(transact(lock)), context)),
        )
        expect(error).toMatchObject({ _tag: "StoreUnavailable", sqlstate: "55P03" })
        expect(yield* problem).toBeUndefined()
      }),
      { lockTimeout: "50 millis" },
    ),
  )
})
