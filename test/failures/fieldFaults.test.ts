/** Faults that others have met in the field, each with where it comes from: none of them is to come back here. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { vi } from "vitest"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Accounts from "../support/Accounts.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import * as frozenFlush from "../support/frozenFlush.ts"
import { ControlledValkey, controlledValkey, freshDatabase, valkeyShared } from "../support/Servers.ts"

vi.setConfig({ testTimeout: 90_000 })

const shared = Layer.merge(valkeyShared, freshDatabase)
const controlled = Layer.merge(controlledValkey, freshDatabase)

const readiness = (url: string) => Daemon.request("GET", `${url}/health/ready`)

const isReady = (url: string) =>
  eventually(
    "it is ready",
    Effect.map(readiness(url), ({ status }) => status === 200),
  )

const client = Effect.flatMap(ValkeyServer, ({ url }) => rawClient(url))

it.live(
  "forgotten scripts (groupmq #16: NOSCRIPT until a restart, with a green health check): no caller sees them",
  () =>
    Effect.gen(function* () {
      const raw = yield* client
      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady()
      const forgetting = yield* Effect.forkScoped(Effect.forever(Effect.promise(() => raw.script("FLUSH"))))
      for (let round = 0; round < 5; round++) {
        yield* accounts.publishAll(daemon.url, 40)
        assert.strictEqual((yield* frozenFlush.flush(daemon)).status, 200)
        assert.strictEqual((yield* readiness(daemon.url)).status, 200)
      }
      yield* Fiber.interrupt(forgetting)
      yield* accounts.settle(daemon)
    }).pipe(Effect.scoped, Effect.provide(controlled)),
)

it.live("a server that answers PING and runs no script (groupmq #16) is not ready, and says why", () =>
  Effect.gen(function* () {
    const raw = yield* client
    const accounts = yield* Accounts.make()
    const daemon = yield* Daemon.startReady()
    yield* Effect.promise(() => raw.acl("SETUSER", "default", "-evalsha", "-eval"))
    assert.strictEqual(yield* Effect.promise(() => raw.ping()), "PONG")
    const { status, body } = yield* readiness(daemon.url)
    assert.strictEqual(status, 503)
    assert.match(body.problems.join(), /NOPERM .*'evalsha'/)
    yield* Effect.promise(() => raw.acl("SETUSER", "default", "+@all"))
    yield* isReady(daemon.url)
    yield* accounts.settle(daemon)
  }).pipe(Effect.scoped, Effect.provide(controlled)),
)

it.live(
  "a limiter without TTL (this program's predecessor blocked its user for ever) ends with the next window",
  () =>
    Effect.gen(function* () {
      const raw = yield* client
      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady({ environment: { CHAT_CACHE_WINDOW_SECONDS: "2" } })
      // As it is left by a process that dies between INCR and EXPIRE.
      yield* Effect.promise(() => raw.set("ratelimit:1", 1000))
      const fields = { owner_id: "1" }
      const limited = yield* accounts.publish(daemon.url, { fields })
      assert.strictEqual(limited.status, 429)
      assert.isAtMost(limited.body.retry_after_ms, 2000)
      yield* eventually(
        "the user is heard again",
        Effect.map(accounts.publish(daemon.url, { fields }), ({ status }) => status === 202),
      )
      yield* frozenFlush.flush(daemon)
      yield* accounts.settle(daemon)
    }).pipe(Effect.scoped, Effect.provide(controlled)),
)

it.live(
  "a limiter that cannot be asked (firecrawl #3728 answered too many requests) is an outage and never a limit",
  () =>
    Effect.gen(function* () {
      const raw = yield* client
      const valkey = yield* ControlledValkey
      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady()
      const isOutage = Effect.map(accounts.publish(daemon.url, { fields: { owner_id: "1" } }), (answer) => {
        assert.strictEqual(answer.status, 503)
        assert.strictEqual(answer.body._tag, "CacheUnavailable")
        assert.isNotNull(answer.headers.get("retry-after"))
      })
      yield* Effect.promise(() => raw.rpush("ratelimit:1", "not a number"))
      yield* isOutage
      yield* Effect.promise(() => raw.del("ratelimit:1"))
      yield* Effect.promise(() => raw.config("SET", "maxmemory", 1))
      yield* isOutage
      yield* Effect.promise(() => raw.config("SET", "maxmemory", 0))
      yield* accounts.publishAll(daemon.url, 5)
      yield* valkey.kill
      yield* isOutage
      yield* valkey.start
      yield* isReady(daemon.url)
      yield* frozenFlush.flush(daemon)
      yield* accounts.settle(daemon)
    }).pipe(Effect.scoped, Effect.provide(controlled)),
)

it.live("closing while the server is gone (BullMQ #2430 never ended) ends before the deadline", () =>
  Effect.gen(function* () {
    const valkey = yield* ControlledValkey
    const accounts = yield* Accounts.make()
    const daemon = yield* Daemon.startReady({ environment: { CHAT_CACHE_SHUTDOWN_TIMEOUT: "4 seconds" } })
    yield* accounts.publishAll(daemon.url, 5)
    yield* valkey.kill
    yield* daemon.signal("SIGTERM")
    assert.strictEqual(yield* daemon.exited, 1, yield* daemon.output)
    assert.match(yield* daemon.output, /unknown still queued/)
    yield* valkey.start
    const next = yield* Daemon.start({ environment: { CHAT_CACHE_FLUSH_INTERVAL: "200 millis" } })
    yield* accounts.settle(daemon, next)
  }).pipe(Effect.scoped, Effect.provide(controlled)),
)

it.live("what arrives between reading the queue and clearing it (lost by the predecessor) stays queued", () =>
  Effect.gen(function* () {
    const { accounts, frozen, flushing, other } = yield* frozenFlush.make("beforeAcknowledge", 10)
    yield* accounts.publishAll(other.url, 7)
    yield* frozen.signal("SIGCONT")
    assert.deepInclude((yield* Fiber.join(flushing)).body.public, { persisted: 10, remaining: 7 })
    yield* accounts.nothingIsLost
    assert.deepInclude((yield* frozenFlush.flush(other)).body.public, { persisted: 7, duplicates: 0 })
    yield* accounts.settle(frozen, other)
  }).pipe(Effect.scoped, Effect.provide(shared)),
)

it.live(
  "a clear that fails after COMMIT (the predecessor stored the batch again, was refused, and jammed) is made up for",
  () =>
    Effect.gen(function* () {
      const raw = yield* client
      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady()
      const first = yield* accounts.publishAll(daemon.url, 10)
      yield* Effect.promise(() => raw.acl("SETUSER", "default", "-ltrim"))
      assert.strictEqual((yield* frozenFlush.flush(daemon)).status, 503)
      const places = yield* accounts.places
      for (const messageId of first) {
        assert.deepStrictEqual(places.get(messageId), { stored: 1, quarantined: 0, queued: 1 })
      }
      yield* accounts.publishAll(daemon.url, 5)
      yield* Effect.promise(() => raw.acl("SETUSER", "default", "+@all"))
      yield* accounts.settle(daemon)
    }).pipe(Effect.scoped, Effect.provide(controlled)),
)

it.live(
  "another message with a used id (Bull #1828 dropped it without a word) is quarantined, and can be read",
  () =>
    Effect.gen(function* () {
      const daemon = yield* Daemon.startReady()
      const draft = { message_id: randomUUID(), owner_id: "1", username: "ada", channel: "general" }
      for (const message of ["the first", "the second"]) {
        const { status } = yield* Daemon.request("POST", `${daemon.url}/messages`, { ...draft, message })
        assert.strictEqual(status, 202)
      }
      const flushed = yield* frozenFlush.flush(daemon)
      assert.deepInclude(flushed.body.public, { persisted: 1, duplicates: 0, quarantined: 1, remaining: 0 })
      const { body } = yield* Daemon.request("GET", `${daemon.url}/quarantine`)
      assert.strictEqual(body.entries.length, 1)
      assert.strictEqual(body.entries[0].reason, "message_id_conflict")
      assert.include(body.entries[0].raw, "the second")
    }).pipe(Effect.scoped, Effect.provide(controlled)),
)

it.live(
  "a late acknowledgement of a flusher that was overtaken (Effect's PersistedQueue took another's work) removes nothing",
  () =>
    Effect.gen(function* () {
      const { accounts, frozen, flushing, other } = yield* frozenFlush.make("beforeAcknowledge", 10)
      const overtaking = yield* frozenFlush.flush(other)
      assert.deepInclude(overtaking.body.public, { persisted: 0, duplicates: 10, remaining: 0 })
      yield* accounts.publishAll(other.url, 10)
      yield* frozen.signal("SIGCONT")
      assert.deepInclude((yield* Fiber.join(flushing)).body.public, { remaining: 10 })
      assert.deepInclude((yield* frozenFlush.flush(other)).body.public, { persisted: 10, duplicates: 0 })
      yield* accounts.settle(frozen, other)
    }).pipe(Effect.scoped, Effect.provide(shared)),
)

it.live(
  "a daemon that starts beside one at work (a sweep of Effect's PersistedQueue queued its work again) leaves it alone",
  () =>
    Effect.gen(function* () {
      const { accounts, environment, frozen, flushing, other } = yield* frozenFlush.make("beforeCommit", 10)
      const started = yield* Daemon.startReady({ environment })
      yield* frozenFlush.flush(started)
      for (const { queued, stored } of (yield* accounts.places).values()) {
        assert.isAtMost(queued, 1)
        assert.isAtMost(stored, 1)
      }
      yield* frozen.signal("SIGCONT")
      yield* Fiber.join(flushing)
      yield* accounts.settle(frozen, started, other)
      const { body } = yield* Daemon.request("GET", `${other.url}/status`)
      // Whoever reads between its COMMIT and its acknowledgement counts duplicates, and adds no row.
      assert.deepInclude(body.queues.public, { persisted: 10, quarantined: 0 })
    }).pipe(Effect.scoped, Effect.provide(shared)),
)
