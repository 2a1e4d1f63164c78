/** The daemon as its users see it: a process on real servers, through its HTTP doors. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted, Schedule } from "effect"
import { Redis } from "iovalkey"
import { type AddressInfo, createServer, type Server } from "node:net"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import {
  ControlledPostgres,
  controlledPostgres,
  ControlledValkey,
  controlledValkey,
  freshDatabase,
  query,
} from "../support/Servers.ts"

const servers = Layer.merge(controlledValkey, freshDatabase)

const message = (text: string, fields: Record<string, unknown> = {}) => ({
  owner_id: "1",
  username: "ada",
  channel: "general",
  message: text,
  ...fields,
})

const unlimited = { CHAT_CACHE_MESSAGE_LIMIT: "1000000" }

const storedTexts = Effect.flatMap(PostgresServer, ({ url }) =>
  query(url, "SELECT message FROM chat_messages ORDER BY id"),
).pipe(Effect.map((rows) => rows.map((row) => row["message"])))

const commands = <A>(use: (client: Redis) => Promise<A>) =>
  Effect.flatMap(ValkeyServer, ({ url }) =>
    Effect.promise(async () => {
      const client = new Redis(Redacted.value(url))
      client.on("error", () => {})
      try {
        return await use(client)
      } finally {
        client.disconnect()
      }
    }),
  )

const queueLength = commands((client) => client.llen("flush_messages"))

it.live("takes messages, shows them, limits a user, and stores everything", () =>
  Effect.gen(function* () {
    const { url } = yield* Daemon.startReady()
    const accepted = yield* Daemon.request("POST", `${url}/messages`, message("Hello"))
    assert.strictEqual(accepted.status, 202)
    assert.strictEqual(accepted.body.cache_id, 1)
    const secret = {
      owner_id: "1",
      username: "ada",
      recipient_id: "2",
      recipient: "bob",
      message: "Psst",
    }
    assert.strictEqual((yield* Daemon.request("POST", `${url}/private-messages`, secret)).status, 202)
    for (const user of ["1", "2"]) {
      const { body } = yield* Daemon.request("GET", `${url}/private-messages/recent/${user}`)
      assert.deepInclude(body.messages[0], { cache_id: 1, ...secret })
    }
    const recent = yield* Daemon.request("GET", `${url}/messages/recent?limit=5`)
    assert.deepInclude(recent.body.messages[0], { ...message("Hello"), ...accepted.body })

    for (let count = 3; count <= 10; count++) {
      yield* Daemon.request("POST", `${url}/messages`, message(`number ${count}`))
    }
    const limited = yield* Daemon.request("POST", `${url}/messages`, message("one too many"))
    assert.strictEqual(limited.status, 429)
    assert.strictEqual(limited.body._tag, "RateLimited")
    assert.isAtLeast(Number(limited.headers.get("retry-after")), 1)

    const flushed = yield* Daemon.request("POST", `${url}/flush`)
    assert.deepStrictEqual(flushed.body, {
      public: { persisted: 9, duplicates: 0, quarantined: 0, deleted: 0, remaining: 0 },
      private: { persisted: 1, duplicates: 0, quarantined: 0, deleted: 0, remaining: 0 },
    })
    assert.strictEqual((yield* storedTexts).length, 9)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("a quiet channel's messages outlive a busy one's, its idle time, and what Valkey has of them", () =>
  Effect.gen(function* () {
    const environment = {
      ...unlimited,
      CHAT_CACHE_MAX_CACHE_SIZE: "5",
      CHAT_CACHE_CHANNEL_IDLE_TIME: "1 second",
    }
    const { url } = yield* Daemon.startReady({ environment })
    const texts = (path: string) =>
      Effect.map(Daemon.request("GET", `${url}${path}`), ({ body }) =>
        body.messages.map((shown: { readonly message: string }) => shown.message),
      )
    const noise = Array.from({ length: 30 }, (_, number) => message(`${number}`, { channel: "busy" }))
    yield* Daemon.request("POST", `${url}/messages`, message("Hello", { channel: "quiet" }))
    yield* Daemon.request("POST", `${url}/messages/batch`, { messages: noise })
    yield* Daemon.request("POST", `${url}/flush`)
    yield* eventually(
      "the cache of the quiet channel has expired",
      commands(async (client) => (await client.exists("recent_messages:quiet")) === 0),
    )
    assert.deepStrictEqual(yield* texts("/messages/recent?channel=quiet"), ["Hello"])
    yield* Daemon.request("POST", `${url}/messages`, message("again", { channel: "quiet" }))
    assert.deepStrictEqual(yield* texts("/messages/recent?channel=quiet"), ["Hello", "again"])
    assert.deepStrictEqual(yield* texts("/messages?channel=quiet"), ["Hello", "again"])
    assert.deepStrictEqual(yield* texts("/messages/recent?channel=busy&limit=2"), ["28", "29"])
    assert.deepStrictEqual(yield* texts("/messages?limit=3"), ["28", "29", "again"])
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("while PostgreSQL is down, the history goes as far back as the queue does", () =>
  Effect.gen(function* () {
    const { url } = yield* Daemon.startReady({ environment: unlimited })
    yield* Daemon.request("POST", `${url}/messages`, message("stored"))
    yield* Daemon.request("POST", `${url}/flush`)
    yield* (yield* ControlledPostgres).kill
    for (const text of ["one", "two", "three"])
      yield* Daemon.request("POST", `${url}/messages`, message(text))
    const newest = yield* Daemon.request("GET", `${url}/messages?limit=2`)
    assert.strictEqual(newest.status, 200)
    assert.deepInclude(newest.body.messages[0], message("two"))
    const older = yield* Daemon.request("GET", `${url}/messages?before=${newest.body.previous}`)
    assert.strictEqual(older.status, 503)
    assert.strictEqual(older.body._tag, "StoreUnavailable")
    yield* (yield* ControlledPostgres).start
    yield* eventually(
      "the page is answered again",
      Effect.map(
        Daemon.request("GET", `${url}/messages?before=${newest.body.previous}`),
        ({ status, body }) =>
          status === 200 && body.messages.length === 2 && body.messages[0].message === "stored",
      ),
    )
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
)

it.live(
  "SIGTERM under load: everything accepted is stored, new messages get 503, and the exit code is 0",
  () =>
    Effect.gen(function* () {
      const daemon = yield* Daemon.startReady({ environment: unlimited })
      const accepted: Array<string> = []
      const statuses = new Set<number>()
      const client = (name: number) =>
        Effect.gen(function* () {
          for (let count = 0; ; count++) {
            const text = `${name}-${count}`
            const { status } = yield* Daemon.request("POST", `${daemon.url}/messages`, message(text))
            if (status === 202) accepted.push(text)
            else statuses.add(status)
            if (status === 0) return
          }
        })
      const load = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 8 }, (_, name) => client(name)),
          { concurrency: "unbounded" },
        ),
      )
      yield* eventually(
        "some hundred messages are taken",
        Effect.sync(() => accepted.length > 300),
      )
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.exited, 0, yield* daemon.output)
      yield* load.await
      assert.deepStrictEqual([...(yield* storedTexts)].sort(), [...accepted].sort())
      assert.isTrue([...statuses].every((status) => status === 0 || status === 503))
      assert.strictEqual(yield* queueLength, 0)
      assert.match(yield* daemon.output, /public: \d+ persisted, 0 quarantined, 0 still queued/)
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("two daemons on the same servers, one of them killed: every message is stored once", () =>
  Effect.gen(function* () {
    const environment = { ...unlimited, CHAT_CACHE_MAX_CACHE_SIZE: "20", CHAT_CACHE_FLUSH_BATCH_SIZE: "7" }
    const daemons = [yield* Daemon.start({ environment }), yield* Daemon.start({ environment })] as const
    const accepted: Array<string> = []
    const send = (daemon: Daemon.DaemonProcess, from: number, to: number) =>
      Effect.forEach(
        Array.from({ length: to - from }, (_, index) => `${daemon.pid}-${from + index}`),
        (text) =>
          Effect.map(Daemon.request("POST", `${daemon.url}/messages`, message(text)), ({ status }) => {
            if (status === 202) accepted.push(text)
          }),
        { concurrency: 8 },
      )
    yield* Effect.all([send(daemons[0], 0, 300), send(daemons[1], 0, 300)], { concurrency: 2 })
    yield* daemons[0].signal("SIGKILL")
    yield* send(daemons[1], 300, 500)
    assert.strictEqual(accepted.length, 800)
    yield* Daemon.request("POST", `${daemons[1].url}/flush`)
    yield* eventually(
      "the queue is empty",
      Effect.map(queueLength, (length) => length === 0),
    )
    assert.deepStrictEqual([...(yield* storedTexts)].sort(), [...accepted].sort())
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("Valkey wiped: what was stored stays, ids go on above it, and the rate limit is restored", () =>
  Effect.gen(function* () {
    const { url } = yield* Daemon.startReady({ environment: unlimited })
    for (const text of ["one", "two"]) yield* Daemon.request("POST", `${url}/messages`, message(text))
    yield* Daemon.request("PUT", `${url}/rate-limit`, { message_limit: 2, window_seconds: 30 })
    yield* Daemon.request("POST", `${url}/flush`)
    yield* commands((client) => client.flushall())

    const after = yield* Daemon.request("POST", `${url}/messages`, message("three"))
    assert.strictEqual(after.status, 202)
    assert.strictEqual(after.body.cache_id, 3)
    yield* Daemon.request("POST", `${url}/messages`, message("four"))
    assert.strictEqual((yield* Daemon.request("POST", `${url}/messages`, message("five"))).status, 429)
    yield* Daemon.request("POST", `${url}/flush`)
    assert.deepStrictEqual(yield* storedTexts, ["one", "two", "three", "four"])
    const { body } = yield* Daemon.request("GET", `${url}/status`)
    assert.strictEqual(body.queues.public.reseeds, 1)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live(
  "PostgreSQL away at start: messages are taken once it has been there, and none is lost when it leaves",
  () =>
    Effect.gen(function* () {
      const postgres = yield* ControlledPostgres
      yield* postgres.stop
      const { url } = yield* Daemon.start({ environment: unlimited })
      const ready = Effect.map(Daemon.request("GET", `${url}/health/ready`), ({ body }) => body)
      // Without PostgreSQL nobody knows which ids are taken, and this Valkey is empty.
      assert.strictEqual((yield* ready).status, "unavailable")
      yield* postgres.start
      yield* eventually(
        "it is ready",
        Effect.map(ready, ({ status }) => status === "ok"),
      )

      yield* postgres.stop
      yield* Effect.all(
        Array.from({ length: 600 }, (_, count) =>
          Daemon.request("POST", `${url}/messages`, message(`number ${count}`)),
        ),
        { concurrency: 16 },
      )
      yield* eventually(
        "it is degraded and says why",
        Effect.map(
          ready,
          ({ status, problems }) =>
            status === "degraded" && problems.some((problem: string) => problem.includes("PostgreSQL")),
        ),
      )
      const unable = yield* Daemon.request("POST", `${url}/flush`)
      assert.strictEqual(unable.status, 503)
      assert.strictEqual(yield* queueLength, 600)

      yield* postgres.start
      yield* eventually(
        "everything is stored",
        Effect.map(queueLength, (length) => length === 0),
        "40 seconds",
      )
      assert.strictEqual((yield* storedTexts).length, 600)
      yield* eventually(
        "it is ready again",
        Effect.map(ready, ({ status }) => status === "ok"),
      )
      const failures = yield* Effect.flatMap(PostgresServer, (server) =>
        query(server.url, "SELECT data FROM events WHERE type = 'FlushFailed'"),
      )
      assert.strictEqual(failures.length, 1)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
  60_000,
)

it.live(
  "a missing table: the messages stay queued, the alarm says which repair, nothing is quarantined",
  () =>
    Effect.gen(function* () {
      const { url: database } = yield* PostgresServer
      const { url } = yield* Daemon.startReady()
      yield* query(database, "ALTER TABLE chat_messages RENAME TO elsewhere")
      yield* Daemon.request("POST", `${url}/messages`, message("Hello"))
      const refused = yield* Daemon.request("POST", `${url}/flush`)
      assert.strictEqual(refused.status, 503)
      assert.strictEqual(refused.body._tag, "StoreMisconfigured")
      assert.strictEqual(yield* queueLength, 1)
      yield* query(database, "ALTER TABLE elsewhere RENAME TO chat_messages")
      yield* eventually(
        "the message is stored without anybody's help",
        Effect.map(queueLength, (length) => length === 0),
      )
      assert.deepStrictEqual(yield* storedTexts, ["Hello"])
      const { body } = yield* Daemon.request("GET", `${url}/quarantine`)
      assert.deepStrictEqual(body.entries, [])
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("Valkey away at start and later: not ready, told at once, and back without a restart", () =>
  Effect.gen(function* () {
    const valkey = yield* ControlledValkey
    yield* valkey.stop
    const { url } = yield* Daemon.start()
    const readiness = Daemon.request("GET", `${url}/health/ready`)
    const unready = yield* readiness
    assert.strictEqual(unready.status, 503)
    assert.match(unready.body.problems.join(), /Valkey/)
    const refused = yield* Daemon.request("POST", `${url}/messages`, message("Hello"))
    assert.strictEqual(refused.status, 503)
    assert.deepInclude(refused.body, { _tag: "CacheUnavailable", execution: "refused" })
    yield* valkey.start
    yield* eventually(
      "it is ready",
      Effect.map(readiness, ({ status }) => status === 200),
    )
    assert.strictEqual((yield* Daemon.request("POST", `${url}/messages`, message("Hello"))).status, 202)
    yield* valkey.kill
    assert.strictEqual((yield* Daemon.request("POST", `${url}/messages`, message("again"))).status, 503)
    yield* valkey.start
    yield* eventually(
      "it is ready again",
      Effect.map(readiness, ({ status }) => status === 200),
    )
    yield* Daemon.request("POST", `${url}/flush`)
    assert.deepStrictEqual(yield* storedTexts, ["Hello"])
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live(
  "a server that hangs does not hold the shutdown: exit code 1 before the deadline, the queue kept",
  () =>
    Effect.gen(function* () {
      const postgres = yield* ControlledPostgres
      const daemon = yield* Daemon.startReady({
        environment: { ...unlimited, CHAT_CACHE_SHUTDOWN_TIMEOUT: "4 seconds" },
      })
      yield* postgres.pause
      yield* Daemon.request("POST", `${daemon.url}/messages`, message("Hello"))
      const startedAt = performance.now()
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.exited, 1, yield* daemon.output)
      assert.isBelow(performance.now() - startedAt, 6000)
      assert.match(yield* daemon.output, /1 still queued/)
      assert.notMatch(yield* daemon.output, /fault/)
      assert.strictEqual(yield* queueLength, 1)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
)

it.live(
  "a Valkey that hangs does not hold the shutdown either, and publishers are not left without an answer",
  () =>
    Effect.gen(function* () {
      const valkey = yield* ControlledValkey
      const daemon = yield* Daemon.startReady({ environment: { CHAT_CACHE_SHUTDOWN_TIMEOUT: "4 seconds" } })
      yield* valkey.pause
      const publishing = yield* Effect.fork(
        Daemon.request("POST", `${daemon.url}/messages`, message("Hello")),
      )
      yield* eventually(
        "the message is under way, and readiness says that Valkey does not answer",
        Effect.map(Daemon.request("GET", `${daemon.url}/health/ready`), ({ status }) => status === 503),
      )
      const startedAt = performance.now()
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.exited, 1, yield* daemon.output)
      assert.isBelow(performance.now() - startedAt, 6000)
      assert.match(yield* daemon.output, /public: 0 persisted, 0 quarantined, unknown still queued/)
      assert.oneOf((yield* Fiber.join(publishing)).status, [0, 503])
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("both servers hang: status and readiness answer all the same, and all is well again afterwards", () =>
  Effect.gen(function* () {
    const valkey = yield* ControlledValkey
    const postgres = yield* ControlledPostgres
    const { url } = yield* Daemon.startReady()
    const readiness = Daemon.request("GET", `${url}/health/ready`)
    yield* Effect.all([valkey.pause, postgres.pause])
    const unready = yield* Effect.timeout(readiness, "8 seconds")
    assert.strictEqual(unready.status, 503)
    const { status, body } = yield* Effect.timeout(Daemon.request("GET", `${url}/status`), "12 seconds")
    assert.strictEqual(status, 200)
    assert.isNull(body.queues.public.length)
    const unknown = yield* Daemon.request("POST", `${url}/messages`, message("Hello"))
    assert.strictEqual(unknown.status, 503)
    assert.strictEqual(unknown.body._tag, "CacheUnavailable")
    yield* Effect.all([valkey.resume, postgres.resume])
    yield* eventually(
      "it is ready again",
      Effect.map(readiness, (answer) => answer.status === 200 && answer.body.status === "ok"),
    )
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
)

it.live(
  "PostgreSQL away at shutdown: exit code 1, and in words that the queue is kept, not that something broke",
  () =>
    Effect.gen(function* () {
      const postgres = yield* ControlledPostgres
      yield* postgres.stop
      yield* commands((client) => client.rpush("flush_messages", "left behind"))
      const daemon = yield* Daemon.start({ environment: { CHAT_CACHE_SHUTDOWN_TIMEOUT: "3 seconds" } })
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.exited, 1)
      assert.match(yield* daemon.output, /1 still queued/)
      assert.match(yield* daemon.output, /the next start flushes it/)
      assert.notMatch(yield* daemon.output, /fault/)
      assert.strictEqual(yield* queueLength, 1)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
)

it.live("a second signal ends the process at once", () =>
  Effect.gen(function* () {
    const postgres = yield* ControlledPostgres
    const daemon = yield* Daemon.startReady()
    yield* postgres.stop
    yield* Daemon.request("POST", `${daemon.url}/messages`, message("Hello"))
    yield* daemon.signal("SIGTERM")
    yield* eventually(
      "the drain has begun",
      Effect.map(daemon.output, (output) => output.includes("draining")),
    )
    yield* daemon.signal("SIGTERM")
    assert.strictEqual(yield* daemon.exited, "SIGTERM")
    assert.strictEqual(yield* queueLength, 1)
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
)

it.live(
  "a Valkey that may evict the queue is refused with exit code 78, unless that is allowed by name",
  () =>
    Effect.gen(function* () {
      yield* commands((client) => client.config("SET", "maxmemory-policy", "allkeys-lru"))
      const refused = yield* Daemon.run()
      assert.strictEqual(yield* refused.exited, 78)
      assert.match(yield* refused.output, /maxmemory-policy/)
      const allowed = yield* Daemon.start({ environment: { CHAT_CACHE_ALLOW_UNSAFE: "maxmemory-policy" } })
      const { body } = yield* Daemon.request("GET", `${allowed.url}/health/ready`)
      assert.strictEqual(body.status, "degraded")
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("a wrong setting is refused with exit code 78 and named", () =>
  Effect.gen(function* () {
    const daemon = yield* Daemon.run({ environment: { CHAT_CACHE_FLUSH_BATCH_SIZE: "many" } })
    assert.strictEqual(yield* daemon.exited, 78)
    assert.match(yield* daemon.output, /CHAT_CACHE_FLUSH_BATCH_SIZE/)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

/** Takes the port until the end of the scope. */
const takePort = (port: number) =>
  Effect.acquireRelease(
    Effect.async<Server, Error>((resume) => {
      const server = createServer()
      server.once("error", (error) => resume(Effect.fail(error)))
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close()),
  )

it.live("a standard port that is taken does not stop a start that asked for none", () =>
  Effect.gen(function* () {
    // Another run of this test may have it for a moment; somebody who keeps it serves as well.
    yield* takePort(8080).pipe(
      Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("10 seconds"))),
      Effect.ignore,
    )
    const daemon = yield* Daemon.start({ environment: { CHAT_CACHE_PORT: undefined } })
    assert.notInclude(daemon.url, ":8080")
    assert.match(yield* daemon.output, /Port 8080 is taken/)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("a port that was asked for and is taken is refused, with what to do", () =>
  Effect.gen(function* () {
    const { port } = (yield* takePort(0)).address() as AddressInfo
    const refused = yield* Daemon.run({ environment: { CHAT_CACHE_PORT: String(port) } })
    assert.strictEqual(yield* refused.exited, 1)
    assert.match(yield* refused.output, /CHAT_CACHE_PORT/)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)
