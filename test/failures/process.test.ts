/** What happens to the daemon's process. The crash points and the suspended daemon have files of their own. */
import { assert, it } from "@effect/vitest"
import { encodePayload } from "../../src/domain/Entry.ts"
import { Effect, Fiber, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { vi } from "vitest"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Accounts from "../support/Accounts.ts"
import * as clockJump from "../support/clockJump.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import { controlledValkey, freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

vi.setConfig({ testTimeout: 90_000 })

const shared = Layer.merge(valkeyShared, freshDatabase)

const onDatabase = (statement: string, values: ReadonlyArray<unknown> = []) =>
  Effect.flatMap(PostgresServer, ({ url }) => query(url, statement, values))

const hour = 3_600_000

it.live.each([
  ["forward", hour],
  ["back", -hour],
] as const)(
  "the clock jumps an hour %s in an outage: what is due by time is still done, and the outage has a length",
  ([, jump]) =>
    Effect.gen(function* () {
      const keyPrefix = yield* uniqueKeyPrefix
      const accounts = yield* Accounts.make(keyPrefix)
      const daemon = yield* Daemon.startReady({
        environment: {
          CHAT_CACHE_KEY_PREFIX: keyPrefix,
          CHAT_CACHE_FLUSH_INTERVAL: "300 millis",
          ...clockJump.by(jump),
        },
      })
      yield* onDatabase("ALTER TABLE chat_messages RENAME TO elsewhere")
      yield* accounts.publishAll(daemon.url, 5)
      assert.strictEqual((yield* Daemon.request("POST", `${daemon.url}/flush`)).status, 503)
      yield* daemon.signal("SIGUSR2")
      yield* eventually(
        "the clock of the daemon is another one",
        Effect.map(accounts.publish(daemon.url), ({ body }) => {
          const ahead = Date.parse(body.authored_at) - Date.now()
          return Math.abs(ahead) > hour / 2
        }),
      )
      yield* onDatabase("ALTER TABLE elsewhere RENAME TO chat_messages")
      yield* accounts.settle(daemon)
      yield* accounts.publishAll(daemon.url, 5)
      yield* accounts.settle(daemon)
      const [failure] = yield* onDatabase("SELECT data FROM events WHERE type = 'FlushFailed'")
      assert.isBelow((failure!["data"] as { duration_ms: number }).duration_ms, hour / 2)
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.exited, 0, yield* daemon.output)
    }).pipe(Effect.scoped, Effect.provide(shared)),
)

it.live("error events: both servers cut every connection, idle and at work, and the daemon goes on", () =>
  Effect.gen(function* () {
    const raw = yield* rawClient((yield* ValkeyServer).url)
    const accounts = yield* Accounts.make()
    const daemon = yield* Daemon.startReady({
      environment: { CHAT_CACHE_MAX_CACHE_SIZE: "50", CHAT_CACHE_FLUSH_INTERVAL: "200 millis" },
    })
    const cut = Effect.all([
      Effect.promise(() => raw.call("client", "kill", "type", "normal", "skipme", "yes")),
      onDatabase(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
      ),
    ])
    const takes = (more: number) =>
      Effect.flatMap(accounts.having("accepted"), ({ length }) =>
        eventually(
          `${more} more messages are taken`,
          Effect.map(accounts.having("accepted"), (accepted) => accepted.length >= length + more),
        ),
      )
    yield* cut
    const load = yield* Effect.fork(accounts.load(daemon.url))
    for (let round = 0; round < 5; round++) {
      yield* takes(20)
      yield* cut
    }
    yield* takes(20)
    yield* Fiber.interrupt(load)
    yield* accounts.settle(daemon)
    assert.isUndefined(yield* daemon.ended)
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledValkey, freshDatabase))),
)

const mebibyte = 1024 * 1024

it.live(
  "a queue of large entries that is larger than the heap: batches end by bytes, and the daemon lives",
  () =>
    Effect.gen(function* () {
      const entries = 96
      const raw = yield* rawClient((yield* ValkeyServer).url)
      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady({ environment: { NODE_OPTIONS: "--max-old-space-size=80" } })
      const messageIds = Array.from({ length: entries }, () => randomUUID())
      const data = {
        owner_id: "1",
        username: "ada",
        channel: "general",
        message: "x".repeat(mebibyte),
        authored_at: "2026-03-01T12:00:00Z",
      }
      for (const [index, messageId] of messageIds.entries()) {
        const entry = encodePayload({ cache_id: index + 1, data: { message_id: messageId, ...data } })
        yield* Effect.promise(() => raw.rpush("flush_messages", entry))
      }
      yield* accounts.enter("accepted", messageIds)
      yield* Daemon.request("POST", `${daemon.url}/flush`)
      yield* accounts.settle(daemon)
      assert.isUndefined(yield* daemon.ended)
      const { body } = yield* Daemon.request("GET", `${daemon.url}/status`)
      assert.isAtLeast(body.queues.public.batches, entries / 8)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledValkey, freshDatabase))),
  180_000,
)
