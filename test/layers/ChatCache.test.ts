import { assert, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Layer, Logger, LogLevel, Runtime } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as ChatCacheMemory from "../../src/layers/ChatCacheMemory.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import * as ChatCacheContract from "../contracts/ChatCacheContract.ts"
import * as arbitraries from "../support/arbitraries.ts"
import { freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

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
            yield* chat.publishAll(drafts.map(({ message_id: _, ...rest }) => rest)),
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
