import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Redis } from "iovalkey"
import { eventually } from "./eventually.ts"
import {
  ControlledPostgres,
  controlledPostgres,
  ControlledValkey,
  controlledValkey,
  freshDatabase,
  query,
} from "./Servers.ts"
import * as TcpProxy from "./TcpProxy.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"

const COMMAND_TIMEOUT_MS = 500

const connect = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Redis(url, {
        lazyConnect: true,
        retryStrategy: () => null,
        maxRetriesPerRequest: 0,
        commandTimeout: COMMAND_TIMEOUT_MS,
      })
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.sync(() => client.disconnect()),
  )

const attempt = <A>(command: () => Promise<A>): Effect.Effect<A, string> =>
  Effect.tryPromise({ try: command, catch: String })

describe("controlled servers", () => {
  it.scopedLive("Valkey keeps port and data over stop and kill, and is silent while paused", () =>
    Effect.gen(function* () {
      const valkey = yield* ControlledValkey
      const url = Redacted.value(valkey.url)
      const first = yield* connect(url)
      yield* attempt(() => first.rpush("list", "one"))
      yield* valkey.stop
      yield* valkey.start
      const second = yield* connect(url)
      yield* attempt(() => second.rpush("list", "two"))
      yield* valkey.kill
      yield* valkey.start
      const third = yield* connect(url)
      assert.deepStrictEqual(yield* attempt(() => third.lrange("list", 0, -1)), ["one", "two"])
      yield* valkey.pause
      assert.match(yield* Effect.flip(attempt(() => third.ping())), /timed out/)
      yield* valkey.resume
      assert.strictEqual(yield* attempt(() => third.ping()), "PONG")
    }).pipe(Effect.provide(controlledValkey)),
  )

  it.scopedLive("PostgreSQL keeps port and data over stop and kill, and is silent while paused", () =>
    Effect.gen(function* () {
      const postgres = yield* ControlledPostgres
      yield* query(postgres.url, "CREATE TABLE kept (number int)")
      yield* postgres.stop
      yield* postgres.start
      yield* query(postgres.url, "INSERT INTO kept VALUES (1)")
      yield* postgres.kill
      yield* postgres.start
      assert.deepStrictEqual(yield* query(postgres.url, "SELECT number FROM kept"), [{ number: 1 }])
      yield* postgres.pause
      const silent = yield* query(postgres.url, "SELECT 1").pipe(Effect.timeoutOption(COMMAND_TIMEOUT_MS))
      assert.strictEqual(silent._tag, "None")
      yield* postgres.resume
      assert.deepStrictEqual(yield* query(postgres.url, "SELECT 1 AS one"), [{ one: 1 }])
    }).pipe(Effect.provide(controlledPostgres)),
  )

  it.scopedLive("a fresh database is empty and the test's own", () =>
    Effect.gen(function* () {
      const create = Effect.gen(function* () {
        const { url } = yield* PostgresServer
        yield* query(url, "CREATE TABLE own (number int)")
        return (yield* query(url, "SELECT current_database() AS name"))[0]?.["name"]
      }).pipe(Effect.provide(freshDatabase))
      const names = yield* Effect.all([create, create], { concurrency: 2 })
      assert.notStrictEqual(names[0], names[1])
    }),
  )
})

describe("TcpProxy", () => {
  it.scopedLive("fails in the ways that it is told to", () =>
    Effect.gen(function* () {
      const valkey = yield* ControlledValkey
      const direct = yield* connect(Redacted.value(valkey.url))
      const proxy = yield* TcpProxy.make(Redacted.value(valkey.url))
      const url = proxy.through(Redacted.value(valkey.url))

      const passing = yield* connect(url)
      assert.strictEqual(yield* attempt(() => passing.incr("counter")), 1)

      yield* proxy.setMode("dropReplies")
      assert.match(yield* Effect.flip(attempt(() => passing.incr("counter"))), /timed out/)
      assert.strictEqual(yield* attempt(() => direct.get("counter")), "2")
      assert.isAbove((yield* proxy.counts).bytesDropped, 0)
      yield* proxy.setMode("pass")
      yield* eventually(
        "the connection that lost a reply is gone",
        Effect.sync(() => passing.status === "end"),
      )

      const held = yield* connect(url)
      yield* proxy.setMode("blackhole")
      assert.match(yield* Effect.flip(attempt(() => held.incr("counter"))), /timed out/)
      assert.strictEqual(yield* attempt(() => direct.get("counter")), "2")
      yield* proxy.setMode("pass")
      yield* eventually(
        "what was sent into the black hole arrives",
        Effect.map(
          attempt(() => direct.get("counter")),
          (counter) => counter === "3",
        ),
      )

      yield* proxy.setMode("cut")
      yield* eventually(
        "the connection is cut",
        Effect.sync(() => held.status === "end"),
      )
      yield* proxy.setMode("refuse")
      const refused = new Redis(url, { lazyConnect: true, retryStrategy: () => null })
      const errors: Array<string> = []
      refused.on("error", (error: Error) => errors.push(error.message))
      yield* Effect.flip(attempt(() => refused.connect()))
      assert.match(errors.join(), /ECONNREFUSED/)

      yield* proxy.setMode("pass")
      const again = yield* connect(url)
      assert.strictEqual(yield* attempt(() => again.ping()), "PONG")
    }).pipe(Effect.provide(controlledValkey)),
  )
})
