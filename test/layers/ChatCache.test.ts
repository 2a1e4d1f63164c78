import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Logger, LogLevel, Redacted, Runtime, Struct } from "effect"
import * as fc from "fast-check"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as ChatCacheMemory from "../../src/layers/ChatCacheMemory.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import * as ChatCacheContract from "../contracts/ChatCacheContract.ts"
import * as arbitraries from "../support/arbitraries.ts"
import { eventually } from "../support/eventually.ts"
import { freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { rawClient } from "./valkey/rawClient.ts"

const quiet = Logger.minimumLogLevel(LogLevel.None)

ChatCacheContract.suite("memory", (settings) =>
  ChatCacheMemory.layer.pipe(Layer.provide(SettingsConfig.layer(settings)), Layer.provide(quiet)),
)

const servers = Layer.merge(valkeyShared, freshDatabase)

const isolated = (settings: Parameters<typeof SettingsConfig.layer>[0]) =>
  Layer.unwrapEffect(
    Effect.map(uniqueKeyPrefix, (keyPrefix) => SettingsConfig.layer({ ...settings, keyPrefix })),
  )

ChatCacheContract.suite("Valkey and PostgreSQL", (settings) =>
  ChatCacheLayer.layer.pipe(Layer.provide(isolated(settings)), Layer.provide(servers), Layer.provide(quiet)),
)

const storedColumns = "message_id, owner_id, username, channel, message"

it.live(
  "payloads survive publish, Valkey, flush and PostgreSQL: every stored character is the one said",
  () =>
    Effect.gen(function* () {
      const chat = yield* ChatCache
      const { url } = yield* PostgresServer
      const runtime = yield* Effect.runtime()
      const storeAndRead = (drafts: ReadonlyArray<PublicMessageDraft>) =>
        Effect.gen(function* () {
          // Ids that an earlier example has used already would be told apart by their content.
          const accepted = yield* Effect.all(
            yield* chat.publishAll(drafts.map((said) => Struct.omit(said, "message_id"))),
          )
          yield* chat.flush
          const ids = accepted.map(({ message_id }) => message_id)
          const rows = yield* query(
            url,
            `SELECT ${storedColumns} FROM chat_messages WHERE message_id = ANY($1::uuid[]) ORDER BY cache_id`,
            [ids],
          )
          assert.deepStrictEqual(
            rows,
            drafts.map(({ owner_id, username, channel, message }, index) => ({
              message_id: ids[index],
              owner_id,
              username,
              channel,
              message,
            })),
          )
        })
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(arbitraries.publicMessageDraft, { minLength: 1, maxLength: 100 }),
            (drafts) => Runtime.runPromise(runtime)(storeAndRead(drafts)),
          ),
          { numRuns: 30 },
        ),
      )
    }).pipe(
      Effect.provide(
        ChatCacheLayer.layer.pipe(
          Layer.provide(isolated({ rateLimit: { message_limit: 1_000_000, window_seconds: 60 } })),
          Layer.provideMerge(servers),
          Layer.provide(quiet),
        ),
      ),
    ),
)

it.live("closing the layer drains: what was accepted is stored before the connections are closed", () =>
  Effect.gen(function* () {
    const embedded = Effect.gen(function* () {
      const chat = yield* ChatCache
      yield* chat.publish({ owner_id: "1", username: "ada", channel: "general", message: "Hello" })
      yield* chat.publishPrivate({
        owner_id: "1",
        username: "ada",
        recipient_id: "2",
        recipient: "bob",
        message: "Psst",
      })
      return chat
    })
    const chat = yield* embedded.pipe(Effect.provide(ChatCacheLayer.layer.pipe(Layer.provide(isolated({})))))
    const { url } = yield* PostgresServer
    const [row] = yield* query(
      url,
      "SELECT (SELECT count(*) FROM chat_messages) AS public, (SELECT count(*) FROM private_messages) AS private",
    )
    assert.deepStrictEqual(row, { public: "1", private: "1" })
    const refused = yield* Effect.flip(
      chat.publish({ owner_id: "1", username: "ada", channel: "general", message: "late" }),
    )
    assert.strictEqual(refused._tag, "ShuttingDown")
  }).pipe(Effect.provide(servers), Logger.withMinimumLogLevel(LogLevel.None)),
)

it.live(
  "a new rate limit is in force for every process at once, and survives the loss of Valkey's data",
  () =>
    Effect.gen(function* () {
      const keyPrefix = yield* uniqueKeyPrefix
      const process = ChatCacheLayer.layer.pipe(
        Layer.provide(SettingsConfig.layer({ keyPrefix })),
        Layer.provide(quiet),
      )
      const draft = { owner_id: "1", username: "ada", channel: "general", message: "Hello" }

      yield* Effect.gen(function* () {
        const first = Context.get(yield* Layer.build(Layer.fresh(process)), ChatCache)
        const second = Context.get(yield* Layer.build(Layer.fresh(process)), ChatCache)
        yield* first.updateRateLimitSettings(1, 3600)
        yield* second.publish(draft)
        assert.strictEqual((yield* Effect.flip(second.publish(draft)))._tag, "RateLimited")
      }).pipe(Effect.scoped)

      const client = yield* rawClient((yield* ValkeyServer).url)
      yield* Effect.promise(async () => client.del(...(await client.keys(`${keyPrefix}*`))))

      const later = Context.get(yield* Layer.build(process), ChatCache)
      yield* later.publish(draft)
      assert.deepStrictEqual(yield* later.rateLimitSettings, { message_limit: 1, window_seconds: 3600 })
      assert.strictEqual((yield* Effect.flip(later.publish(draft)))._tag, "RateLimited")
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("a lost reply: the publisher learns the id to send again with, and the message is stored once", () =>
  Effect.gen(function* () {
    const keyPrefix = yield* uniqueKeyPrefix
    const { url } = yield* ValkeyServer
    const proxy = yield* TcpProxy.make(Redacted.value(url))
    const context = yield* Layer.build(
      ChatCacheLayer.layer.pipe(
        Layer.provide(SettingsConfig.layer({ keyPrefix })),
        Layer.provide(quiet),
        Layer.provide(
          Layer.succeed(ValkeyServer, { url: Redacted.make(proxy.through(Redacted.value(url))) }),
        ),
      ),
    )
    const chat = Context.get(context, ChatCache)
    const draft = { owner_id: "1", username: "ada", channel: "general", message: "Hello" }
    const isReady = Effect.map(chat.readiness, ({ status }) => status === "ok")
    yield* eventually("it is ready", isReady)

    const direct = yield* rawClient(url)
    const queued = Effect.promise(() => direct.llen(`${keyPrefix}flush_messages`))
    yield* proxy.setMode("dropReplies")
    const publishing = yield* Effect.fork(Effect.flip(chat.publish(draft)))
    yield* eventually(
      "the message has arrived",
      Effect.map(queued, (length) => length === 1),
    )
    yield* proxy.setMode("cut")
    const error = yield* Fiber.join(publishing)
    assert.deepInclude(error, { _tag: "CacheUnavailable", execution: "unknown" })
    const messageId = error._tag === "CacheUnavailable" ? error.message_id : undefined
    assert.isDefined(messageId)

    yield* proxy.setMode("pass")
    yield* eventually("it is ready again", isReady)
    yield* chat.publish({ ...draft, message_id: messageId })
    assert.strictEqual((yield* chat.recent()).length, 1)
    assert.deepInclude((yield* chat.flush).public, { persisted: 1, duplicates: 1, quarantined: 0 })
  }).pipe(Effect.scoped, Effect.provide(servers)),
)
