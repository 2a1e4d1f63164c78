/** The way to PostgreSQL fails without a word: nothing waits longer than its deadline, and all is stored in the end. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { vi } from "vitest"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import * as PostgresFailure from "../support/postgresFailure.ts"
import { controlledPostgres, valkeyShared } from "../support/Servers.ts"
import * as TcpProxy from "../support/TcpProxy.ts"

// Servers and daemons start and recover, on a machine that may be busy, and some failures last for a deadline.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const { flush, isDegraded, makeScene, Scene, settles, signalBackends, stall, stored } = PostgresFailure

const servers = Layer.merge(valkeyShared, controlledPostgres)

/** A daemon of its own, whose way to PostgreSQL can be broken. */
const onBrokenWay = Effect.gen(function* () {
  const { url } = yield* PostgresServer
  const proxy = yield* TcpProxy.make(Redacted.value(url))
  return { proxy, subject: yield* makeScene({}, proxy.through) }
})

describe.concurrent("A PostgreSQL that says nothing", () => {
  it.live(
    "its process is stopped in a transaction (SIGSTOP): the deadline ends the wait, and all is stored",
    () =>
      Effect.gen(function* () {
        const subject = yield* makeScene()
        const { accounts, daemon } = subject
        const { waiting, release } = yield* stall("insert")
        yield* accounts.publishAll(daemon.url, 10)
        const flushed = yield* Effect.fork(flush(daemon))
        const hung = yield* waiting
        yield* Effect.acquireRelease(signalBackends(hung, "SIGSTOP"), () => signalBackends(hung, "SIGCONT"))
        yield* release
        const { status, body } = yield* Fiber.join(flushed)
        assert.strictEqual(status, 503)
        assert.deepInclude(body, { _tag: "StoreUnavailable", sqlstate: null })
        assert.match(body.reason, /no answer within 30s/)
        // The process still holds the rows and the lock of the queue; others are served.
        yield* isDegraded(daemon, /public queue cannot be flushed since/)
        yield* accounts.publishAll(daemon.url, 5)
        yield* signalBackends(hung, "SIGCONT")
        yield* Effect.provideService(settles, Scene, subject)
      }).pipe(Effect.scoped, Effect.provide(servers)),
  )

  it.live(
    "the reply to COMMIT is lost: the batch is found stored when it is tried again, and adds no row",
    () =>
      Effect.gen(function* () {
        const { proxy, subject } = yield* onBrokenWay
        const { accounts, daemon } = subject
        const { waiting, release } = yield* stall("commit")
        const before = yield* stored
        yield* accounts.publishAll(daemon.url, 10)
        const flushed = yield* Effect.fork(flush(daemon))
        yield* waiting
        yield* proxy.setMode("dropReplies")
        yield* release
        yield* eventually(
          "it is committed",
          Effect.map(stored, (count) => count === before + 10),
        )
        yield* proxy.setMode("pass")
        const { status, body } = yield* Fiber.join(flushed)
        assert.strictEqual(status, 503)
        assert.match(body.reason, /the outcome of COMMIT is unknown/)
        yield* Effect.provideService(settles, Scene, subject)
        const report = yield* Daemon.request("GET", `${daemon.url}/status`)
        assert.deepInclude(report.body.queues.public, { persisted: 15, duplicates: 10 })
      }).pipe(Effect.scoped, Effect.provide(servers)),
  )

  it.live("half-open, nothing moves and nobody is told: the deadline ends the wait, and all is stored", () =>
    Effect.gen(function* () {
      const { proxy, subject } = yield* onBrokenWay
      const { accounts, daemon } = subject
      yield* proxy.setMode("blackhole")
      yield* accounts.publishAll(daemon.url, 10)
      yield* isDegraded(daemon, /cannot be reached since .*no answer within 5s.*messages stay queued/)
      const { status, body } = yield* flush(daemon)
      assert.strictEqual(status, 503)
      assert.deepInclude(body, { _tag: "StoreUnavailable", sqlstate: null })
      yield* accounts.publishAll(daemon.url, 5)
      yield* proxy.setMode("pass")
      yield* Effect.provideService(settles, Scene, subject)
    }).pipe(Effect.scoped, Effect.provide(servers)),
  )
})
