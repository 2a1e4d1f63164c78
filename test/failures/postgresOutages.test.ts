/** PostgreSQL goes away or breaks off: messages are taken, and all are stored when it is back. */
import { assert, it, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { vi } from "vitest"
import * as Accounts from "../support/Accounts.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import * as PostgresFailure from "../support/postgresFailure.ts"
import { ControlledPostgres, controlledPostgres, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

// Servers and daemons start and recover, on a machine that may be busy, and some failures last for a deadline.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const { control, flush, isDegraded, Scene, scene, settles, signalBackends, stall, stored } = PostgresFailure

const servers = Layer.merge(valkeyShared, controlledPostgres)

it.live("down at start: messages are taken as long as Valkey knows the last id, and stored later", () =>
  Effect.gen(function* () {
    const postgres = yield* ControlledPostgres
    const keyPrefix = yield* uniqueKeyPrefix
    const accounts = yield* Accounts.make(keyPrefix)
    const environment = { CHAT_CACHE_KEY_PREFIX: keyPrefix }
    const first = yield* Daemon.start({ environment })
    yield* PostgresFailure.isWell(first)
    yield* accounts.publishAll(first.url, 5)
    yield* first.signal("SIGTERM")
    assert.strictEqual(yield* first.exited, 0)

    yield* postgres.stop
    const daemon = yield* Daemon.start({ environment })
    yield* accounts.publishAll(daemon.url, 20)
    yield* isDegraded(
      daemon,
      /cannot be reached .*ECONNREFUSED.*start it, or correct DATABASE_URL; messages stay queued/,
    )
    assert.strictEqual((yield* flush(daemon)).status, 503)
    yield* postgres.start
    yield* accounts.settle(first, daemon)
    yield* PostgresFailure.isWell(daemon)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

/** How many queued messages make a flush due. */
const threshold = 20

layer(scene({ CHAT_CACHE_MAX_CACHE_SIZE: String(threshold), CHAT_CACHE_FLUSH_BATCH_SIZE: "10" }), {
  excludeTestServices: true,
})("PostgreSQL that breaks off", (it) => {
  it.effect(
    "restarted, and killed with all its processes, under load: everything accepted is stored once",
    () =>
      Effect.gen(function* () {
        const { accounts, daemon } = yield* Scene
        const postgres = yield* ControlledPostgres
        const load = yield* Effect.fork(accounts.load(daemon.url))
        for (const end of [postgres.stop, postgres.kill]) {
          const before = yield* stored
          yield* eventually(
            "messages are stored",
            Effect.map(stored, (now) => now > before + 50),
          )
          yield* end
          yield* isDegraded(daemon, /start it, or correct DATABASE_URL/)
          yield* postgres.start
        }
        yield* Fiber.interrupt(load)
        yield* eventually(
          "no more is queued than makes a flush due",
          Effect.map(
            Daemon.request("GET", `${daemon.url}/status`),
            ({ body }) => body.queues.public.length < threshold,
          ),
          "45 seconds",
        )
        yield* Effect.raceFirst(settles, Effect.forever(flush(daemon)))
      }).pipe(Effect.scoped),
  )

  it.effect(
    "its connection is terminated in a transaction: nothing of the batch is left, and all is stored",
    () =>
      Effect.gen(function* () {
        const { accounts, daemon } = yield* Scene
        const before = yield* stored
        const { waiting, release } = yield* stall("insert")
        yield* accounts.publishAll(daemon.url, 10)
        const flushed = yield* Effect.fork(flush(daemon))
        const [pid] = yield* waiting
        yield* control("SELECT pg_terminate_backend($1)", [pid])
        const { status, body } = yield* Fiber.join(flushed)
        assert.strictEqual(status, 503)
        assert.deepInclude(body, { _tag: "StoreUnavailable", sqlstate: "57P01" })
        assert.strictEqual(yield* stored, before)
        yield* release
        yield* settles
      }).pipe(Effect.scoped),
  )

  it.effect("kill -9 of the process that serves a transaction, and the crash recovery of the others", () =>
    Effect.gen(function* () {
      const { accounts, daemon } = yield* Scene
      const { waiting } = yield* stall("insert")
      yield* accounts.publishAll(daemon.url, 10)
      const flushed = yield* Effect.fork(flush(daemon))
      yield* signalBackends(yield* waiting, "SIGKILL")
      // The session that holds the lock is ended with all others.
      assert.strictEqual((yield* Fiber.join(flushed)).status, 503)
      yield* settles
    }).pipe(Effect.scoped),
  )
})
