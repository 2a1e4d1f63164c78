/** The client of the package against the daemon as a process, over outages. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Ref, Stream } from "effect"
import * as Client from "../../src/client.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import { ControlledPostgres, controlledPostgres, valkeyShared } from "../support/Servers.ts"

it.scopedLive(
  "the client publishes, runs chat-cache and follows its events, also while PostgreSQL is away for a while",
  () =>
    Effect.gen(function* () {
      const postgres = yield* ControlledPostgres
      const daemon = yield* Daemon.start({
        environment: {
          CHAT_CACHE_API_TOKEN: "secret",
          CHAT_CACHE_KEY_PREFIX: `test:${postgres.port}:${process.pid}:`,
        },
      })
      const client = yield* Client.make({ url: daemon.url, token: Redacted.make("secret") })
      yield* eventually(
        "it is ready",
        Effect.map(client.health.ready({}), ({ status }) => status === "ok"),
      )
      const types = yield* Ref.make<ReadonlyArray<string>>([])
      const hasSeen = (type: string) => Effect.map(Ref.get(types), (seen) => seen.includes(type))
      yield* Effect.forkScoped(
        Stream.runForEach(client.followEvents(), ({ event }) =>
          Ref.update(types, (seen) => [...seen, event._tag]),
        ),
      )
      yield* eventually("the start is told", hasSeen("DaemonStarted"))

      const payload = { owner_id: "1", username: "ada", channel: "general", message: "Hello" }
      const { cache_id } = yield* client.publishing.publish({ payload })
      assert.deepInclude((yield* client.recent.recent({ urlParams: {} })).messages[0], {
        cache_id,
        ...payload,
      })

      yield* postgres.stop
      const away = yield* Effect.flip(client.operation.flush({}))
      assert.strictEqual(away._tag, "StoreUnavailable")
      yield* postgres.start
      yield* eventually("what is stored afterwards is told", hasSeen("BatchPersisted"), "30 seconds")
      yield* client.operation.updateRateLimit({ payload: { message_limit: 5, window_seconds: 60 } })
      yield* eventually("and so is what is changed", hasSeen("RateLimitChanged"))

      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.exited, 0)
      yield* eventually("the end is told before the stream ends", hasSeen("DaemonStopped"))
    }).pipe(Effect.provide(Layer.mergeAll(controlledPostgres, valkeyShared, FetchHttpClient.layer))),
  90_000,
)
