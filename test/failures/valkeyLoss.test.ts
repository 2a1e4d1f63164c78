/** Valkey is killed, forgets, or goes back in time: what it still has is stored, and what it has lost is told. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted } from "effect"
import { vi } from "vitest"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Accounts from "../support/Accounts.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import { at } from "../support/faultPoint.ts"
import { ControlledValkey, controlledValkey, freshDatabase, query } from "../support/Servers.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { restartWith } from "../support/valkeyConfiguration.ts"

vi.setConfig({ testTimeout: 90_000 })

const servers = Layer.merge(controlledValkey, freshDatabase)

const flush = (url: string) => Daemon.request("POST", `${url}/flush`)
const status = (url: string) => Effect.map(Daemon.request("GET", `${url}/status`), ({ body }) => body)

const eventsOf = (type: string) =>
  Effect.flatMap(PostgresServer, ({ url }) =>
    query(url, "SELECT data FROM events WHERE type = $1 ORDER BY position", [type]),
  ).pipe(Effect.map((rows) => rows.map((row) => row["data"])))

const hasAccepted = (accounts: Accounts.Accounts, more: number) =>
  Effect.flatMap(accounts.having("accepted"), ({ length }) =>
    eventually(
      `${more} more messages are taken`,
      Effect.map(accounts.having("accepted"), (accepted) => accepted.length >= length + more),
    ),
  )

/** With `everysec`, writes wait for up to two seconds while the disk is slow, and the answers do not wait for them. */
const everythingIsWritten = Effect.gen(function* () {
  const raw = yield* rawClient((yield* ControlledValkey).url)
  yield* eventually(
    "the append-only file is written",
    Effect.promise(async () => {
      const info = await raw.info("persistence")
      return info.includes("aof_pending_bio_fsync:0") && info.includes("aof_buffer_length:0")
    }),
  )
}).pipe(Effect.scoped)

it.live.each([
  ["everysec", "quiet"],
  ["no", "load"],
  ["always", "load"],
] as const)(
  "kill -9 of Valkey with an append-only file, appendfsync %s, under %s: nothing is lost",
  ([fsync, when]) =>
    Effect.gen(function* () {
      const valkey = yield* ControlledValkey
      yield* restartWith([`appendfsync ${fsync}`])
      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady({
        environment: {
          CHAT_CACHE_MAX_CACHE_SIZE: "50",
          CHAT_CACHE_FLUSH_BATCH_SIZE: "20",
          CHAT_CACHE_FLUSH_INTERVAL: "200 millis",
        },
      })
      for (let round = 0; round < 3; round++) {
        const load = yield* Effect.fork(accounts.load(daemon.url))
        yield* hasAccepted(accounts, 100)
        if (when === "quiet") yield* Effect.zipRight(Fiber.interrupt(load), everythingIsWritten)
        yield* valkey.kill
        yield* valkey.start
        yield* accounts.nothingIsLost
        if (when === "load") yield* hasAccepted(accounts, 10)
        yield* Fiber.interrupt(load)
      }
      yield* accounts.settle(daemon)
      assert.strictEqual((yield* status(daemon.url)).queues.public.reseeds, 0)
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live(
  "kill -9 of Valkey without an append-only file: the queue is lost, what was stored is not, and the operator is told",
  () =>
    Effect.gen(function* () {
      const valkey = yield* ControlledValkey
      yield* restartWith(["appendonly no"])
      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady()
      const { status: condition, problems } = yield* status(daemon.url)
      assert.strictEqual(condition, "degraded")
      assert.match(problems.join(), /appendonly is off: .* is lost/)
      yield* accounts.publishAll(daemon.url, 20)
      yield* flush(daemon.url)
      yield* accounts.enter("lost", yield* accounts.publishAll(daemon.url, 15))
      yield* valkey.kill
      yield* valkey.start
      yield* eventually(
        "it takes messages again",
        Effect.map(accounts.publish(daemon.url), ({ status: answer }) => answer === 202),
      )
      // Ids go on above all that this process has given, those of the lost messages as well.
      const { body } = yield* accounts.publish(daemon.url)
      assert.isAbove(body.cache_id, 35)
      yield* flush(daemon.url)
      yield* accounts.settle(daemon)
      assert.match(yield* daemon.output, /counter of the public queue was missing .* Valkey has lost data/)
      assert.strictEqual((yield* status(daemon.url)).queues.public.reseeds, 1)
      assert.deepStrictEqual(yield* eventsOf("CounterReseeded"), [{ queue: "public", from: null, to: 35 }])
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live(
  "FLUSHALL between reading and acknowledging: the messages that came since are not taken for the batch",
  () =>
    Effect.gen(function* () {
      const raw = yield* rawClient((yield* ControlledValkey).url)
      const accounts = yield* Accounts.make()
      const slow = yield* Daemon.startReady({ environment: at("beforeAcknowledge", "SIGSTOP") })
      const other = yield* Daemon.startReady()
      yield* accounts.publishAll(slow.url, 10)
      const flushing = yield* Effect.fork(flush(slow.url))
      yield* Daemon.stopped(slow)
      yield* Effect.promise(() => raw.flushall())
      yield* accounts.publishAll(other.url, 10)
      yield* slow.signal("SIGCONT")
      assert.deepInclude((yield* Fiber.join(flushing)).body.public, { persisted: 10, remaining: 10 })
      yield* accounts.nothingIsLost
      assert.deepInclude((yield* flush(other.url)).body.public, {
        persisted: 10,
        duplicates: 0,
        remaining: 0,
      })
      yield* accounts.settle(slow, other)
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

/** The replica is reached through a proxy, and takes the password of its primary: it is to take its place. */
const replicate = Effect.fnUntraced(function* (primary: URL, replica: URL, port: number) {
  const onReplica = yield* rawClient(Redacted.make(replica.href))
  yield* Effect.promise(async () => {
    await onReplica.config("SET", "masterauth", primary.password)
    await onReplica.config("SET", "requirepass", primary.password)
    await onReplica.call("replicaof", "127.0.0.1", port)
  })
  yield* eventually(
    "the replica is connected",
    Effect.promise(async () => (await onReplica.info("replication")).includes("master_link_status:up")),
  )
  replica.password = primary.password
  return onReplica
})

it.live(
  "failover to a replica that lags: what it lacks is lost and told, what was stored is not stored again, ids go on above",
  () =>
    Effect.gen(function* () {
      const primary = yield* ControlledValkey
      const other = Context.get(yield* Layer.build(Layer.fresh(controlledValkey)), ControlledValkey)
      const primaryUrl = new URL(Redacted.value(primary.url))
      const replicaUrl = new URL(Redacted.value(other.url))
      const address = yield* TcpProxy.make(primaryUrl.href)
      const replication = yield* TcpProxy.make(primaryUrl.href)
      const onReplica = yield* replicate(primaryUrl, replicaUrl, replication.port)

      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady({
        environment: { VALKEY_URL: address.through(primaryUrl.href) },
      })
      yield* accounts.publishAll(daemon.url, 20)
      yield* eventually(
        "the replica has them",
        Effect.promise(async () => (await onReplica.llen("flush_messages")) === 20),
      )
      yield* replication.setMode("blackhole")
      yield* accounts.publishAll(daemon.url, 10)
      yield* flush(daemon.url)
      yield* accounts.enter("lost", yield* accounts.publishAll(daemon.url, 5))

      yield* primary.kill
      yield* Effect.promise(() => onReplica.call("replicaof", "no", "one"))
      yield* address.leadTo(replicaUrl.href)
      yield* eventually(
        "messages are taken by the new primary",
        Effect.map(accounts.publish(daemon.url), ({ status: answer }) => answer === 202),
      )
      yield* accounts.publishAll(daemon.url, 9)
      // Some ids are given a second time. By the next flush they would have passed those of PostgreSQL.
      yield* eventually(
        "it is told that Valkey has gone back in time",
        Effect.map(status(daemon.url), ({ queues }) => queues.public.reseeds === 1),
      )
      assert.isAbove((yield* accounts.publish(daemon.url)).body.cache_id, 35)
      const flushed = yield* flush(daemon.url)
      assert.deepInclude(flushed.body.public, { duplicates: 20, quarantined: 0, remaining: 0 })
      yield* accounts
        .settle(daemon)
        .pipe(Effect.provideService(ValkeyServer, { url: Redacted.make(replicaUrl.href) }))
      assert.match(yield* daemon.output, /counter of the public queue was \d+ .* gone back in time/)
      assert.strictEqual((yield* status(daemon.url)).queues.public.reseeds, 1)
    }).pipe(Effect.scoped, Effect.provide(servers)),
)
