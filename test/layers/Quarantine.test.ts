/** What comes into the queue by another door than ours, on real servers. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel, Metric } from "effect"
import type { QuarantineEntry } from "../../src/domain/Quarantine.ts"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import { undecodableRecentEntries } from "../../src/layers/Metrics.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { Settings } from "../../src/services/Settings.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"
import { rawClient } from "./valkey/rawClient.ts"

const layer = ChatCacheLayer.layer.pipe(
  Layer.provideMerge(
    Layer.unwrapEffect(Effect.map(uniqueKeyPrefix, (keyPrefix) => SettingsConfig.layer({ keyPrefix }))),
  ),
  Layer.provideMerge(Layer.merge(valkeyShared, freshDatabase)),
  Layer.provide(Logger.minimumLogLevel(LogLevel.None)),
)

const bytes = (text: string) => Buffer.from(text)

const entryOf = (cacheId: number | string, fields: Record<string, unknown>) =>
  bytes(
    `{"cache_id":${cacheId},"data":${JSON.stringify({
      owner_id: "1",
      username: "ada",
      channel: "general",
      message: "good",
      authored_at: "2026-03-01T12:00:00Z",
      ...fields,
    })}}`,
  )

const messageId = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`

const pushToQueue = (...entries: ReadonlyArray<Buffer>) =>
  Effect.gen(function* () {
    const { keyPrefix } = yield* Settings
    const client = yield* rawClient((yield* ValkeyServer).url)
    yield* Effect.promise(() => client.rpush(`${keyPrefix}flush_messages`, ...entries))
  }).pipe(Effect.scoped)

const execute = (statement: string) => Effect.flatMap(PostgresServer, ({ url }) => query(url, statement))

const stored = Effect.map(
  execute("SELECT cache_id, message_id, message FROM chat_messages ORDER BY id"),
  (rows) => rows.map((row) => [Number(row["cache_id"]), row["message_id"], row["message"]]),
)

const facts = ({ queue, cache_id, reason, sqlstate, status }: QuarantineEntry) => ({
  queue,
  cache_id,
  reason,
  sqlstate,
  status,
})

it.live(
  "what is not a message is quarantined with its bytes and its reason, and its neighbours are stored",
  () =>
    Effect.gen(function* () {
      const chat = yield* ChatCache
      const poison: ReadonlyArray<readonly [Buffer, Partial<QuarantineEntry>]> = [
        [bytes("not JSON"), { reason: "invalid_json", cache_id: null }],
        [Buffer.from([0x22, 0xff, 0xfe, 0x22]), { reason: "invalid_utf8", cache_id: null }],
        [bytes("[]"), { reason: "wrong_shape", cache_id: null }],
        [bytes(""), { reason: "invalid_json", cache_id: null }],
        [bytes("[".repeat(100_000)), { reason: "invalid_json", cache_id: null }],
        [
          entryOf(3, { message_id: messageId(3), channel: "x".repeat(25) }),
          { reason: "wrong_shape", cache_id: 3 },
        ],
        [entryOf(4, { message_id: messageId(4), message: "\u0000" }), { reason: "wrong_shape", cache_id: 4 }],
        [
          entryOf(5, { message_id: messageId(5), authored_at: "now" }),
          { reason: "wrong_shape", cache_id: 5 },
        ],
        [entryOf("1e400", { message_id: messageId(6) }), { reason: "wrong_shape", cache_id: null }],
      ]
      yield* pushToQueue(
        entryOf(1, { message_id: messageId(1) }),
        ...poison.map(([entry]) => entry),
        entryOf(2, { message_id: messageId(2) }),
      )
      const { persisted, quarantined, remaining } = (yield* chat.flush).public
      assert.deepStrictEqual(
        { persisted, quarantined, remaining },
        { persisted: 2, quarantined: 9, remaining: 0 },
      )
      const entries = yield* chat.quarantine.list({ limit: 100 })
      assert.deepStrictEqual(
        entries.map((entry) => Buffer.from(entry.raw).toString("hex")),
        poison.map(([entry]) => entry.toString("hex")),
      )
      assert.deepStrictEqual(
        entries.map(facts),
        poison.map(([, expected]) => ({
          queue: "public",
          cache_id: null,
          sqlstate: null,
          status: "open",
          ...expected,
        })) as ReadonlyArray<ReturnType<typeof facts>>,
      )
      // `now()` is when the transaction began: the same for all that is stored in it.
      const moments = yield* execute(
        "SELECT persisted_at FROM chat_messages UNION SELECT quarantined_at FROM quarantined_messages",
      )
      assert.strictEqual(moments.length, 1)
    }).pipe(Effect.provide(layer)),
)

it.live("entries of the predecessor, without a message_id, are stored once however often they come", () =>
  Effect.gen(function* () {
    const chat = yield* ChatCache
    const legacy = entryOf(7, {})
    yield* pushToQueue(legacy)
    assert.deepInclude((yield* chat.flush).public, { persisted: 1, duplicates: 0 })
    yield* pushToQueue(legacy)
    assert.deepInclude((yield* chat.flush).public, { persisted: 0, duplicates: 1 })
  }).pipe(Effect.provide(layer)),
)

it.live("rows that PostgreSQL refuses are found one by one, and replayed when the reason is gone", () =>
  Effect.gen(function* () {
    const chat = yield* ChatCache
    yield* chat.flush
    yield* pushToQueue(entryOf(1, { message_id: messageId(1) }))
    yield* chat.flush
    yield* execute("ALTER TABLE chat_messages ADD CONSTRAINT polite CHECK (message <> 'bad')")
    const isBad = (number: number) => number === 17 || number === 64
    yield* pushToQueue(
      ...Array.from({ length: 100 }, (_, index) =>
        entryOf(index + 2, {
          message_id: messageId(index + 2),
          ...(isBad(index) ? { message: "bad" } : {}),
        }),
      ),
    )
    assert.deepInclude((yield* chat.flush).public, { persisted: 98, quarantined: 2, remaining: 0 })
    const entries = yield* chat.quarantine.list({ limit: 10 })
    assert.deepStrictEqual(
      entries.map(facts),
      [19, 66].map((cache_id): ReturnType<typeof facts> => ({
        queue: "public",
        cache_id,
        reason: "refused_by_postgres",
        sqlstate: "23514",
        status: "open",
      })),
    )
    const [first, second] = entries.map(({ id }) => id)
    assert.strictEqual((yield* Effect.flip(chat.quarantine.replay(first!)))._tag, "ReplayRefused")
    yield* chat.quarantine.replay(first!, {
      owner_id: "1",
      username: "ada",
      channel: "general",
      message: "better",
      message_id: messageId(999),
      authored_at: "2020-01-01T00:00:00Z",
    })
    yield* execute("ALTER TABLE chat_messages DROP CONSTRAINT polite")
    yield* chat.quarantine.replay(second!)
    assert.deepStrictEqual((yield* stored).slice(-2), [
      [19, messageId(19), "better"],
      [66, messageId(66), "bad"],
    ])
    const [row] = yield* execute(
      `SELECT authored_at = '2026-03-01T12:00:00Z' AS kept FROM chat_messages WHERE message_id = '${messageId(19)}'`,
    )
    assert.deepStrictEqual(row, { kept: true })
    assert.deepStrictEqual(yield* chat.quarantine.list({ limit: 10 }), [])
  }).pipe(Effect.provide(layer)),
)

it.live("a corrected message that had no id gets the next one", () =>
  Effect.gen(function* () {
    const chat = yield* ChatCache
    yield* pushToQueue(bytes("not JSON"))
    yield* chat.flush
    const [entry] = yield* chat.quarantine.list({ limit: 1 })
    yield* chat.quarantine.replay(entry!.id, {
      owner_id: "1",
      username: "ada",
      channel: "general",
      message: "what was meant",
    })
    const next = yield* chat.publish({ owner_id: "1", username: "ada", channel: "general", message: "later" })
    const [row] = yield* stored
    assert.strictEqual(row?.[0], next.cache_id - 1)
    assert.strictEqual(row?.[2], "what was meant")
  }).pipe(Effect.provide(layer)),
)

it.live("a recent cache shows what is a message, and passes over the rest with a warning and a metric", () =>
  Effect.gen(function* () {
    const chat = yield* ChatCache
    const { keyPrefix } = yield* Settings
    const client = yield* rawClient((yield* ValkeyServer).url)
    const before = yield* Metric.value(undecodableRecentEntries)
    yield* Effect.promise(() =>
      client.rpush(
        `${keyPrefix}recent_messages`,
        entryOf(1, { message_id: messageId(1) }),
        bytes("not JSON"),
        Buffer.from([0xff]),
        entryOf(2, {}),
      ),
    )
    assert.deepStrictEqual(
      (yield* chat.recent()).map(({ cache_id }) => cache_id),
      [1, 2],
    )
    assert.strictEqual((yield* Metric.value(undecodableRecentEntries)).count, before.count + 2)
  }).pipe(Effect.scoped, Effect.provide(layer)),
)
