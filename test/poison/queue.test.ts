/** Ten thousand entries that may or may not be messages, in real queues, among good ones. */
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Either, Layer, Logger, LogLevel } from "effect"
import * as fc from "fast-check"
import { decodeEntry, type Entry, entryKey } from "../../src/domain/Entry.ts"
import type { CachedMessage, QueueName } from "../../src/domain/Message.ts"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { Settings } from "../../src/services/Settings.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { settingsLayer } from "../contracts/CacheBackend.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import { entryOf } from "../support/arbitraries.ts"
import { freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"
import { doubtfulDraft, poisonedEntry } from "./arbitraries.ts"

const tables = { public: "chat_messages", private: "private_messages" } as const
const lists = { public: "flush_messages", private: "flush_private_messages" } as const

const layer = ChatCacheLayer.layer.pipe(
  Layer.provideMerge(
    Layer.unwrapEffect(
      Effect.map(uniqueKeyPrefix, (keyPrefix) =>
        settingsLayer({ keyPrefix, flushInterval: Duration.minutes(10) }),
      ),
    ),
  ),
  Layer.provideMerge(Layer.merge(valkeyShared, freshDatabase)),
  Layer.provide(Logger.minimumLogLevel(LogLevel.None)),
)

const execute = (statement: string) => Effect.flatMap(PostgresServer, ({ url }) => query(url, statement))

/** As who reads a failure wants to see it. */
const shown = (entry: Entry): string => JSON.stringify(Buffer.from(entry).toString("latin1").slice(0, 500))

/** Every third again: as it is, with another `cache_id`, or saying something else. */
const withRepetitions = (queue: QueueName, entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> =>
  entries.flatMap((entry, index) => {
    const decoded = decodeEntry(queue, entry)
    if (index % 3 > 0 || Either.isLeft(decoded)) return [entry]
    const { cache_id, ...said } = decoded.right
    const again = {
      0: entry,
      1: entryOf(cache_id + 1, JSON.stringify(said)),
      2: entryOf(cache_id, JSON.stringify({ ...said, message: `${said.message}!` })),
    }
    return [entry, again[((index / 3) % 3) as 0 | 1 | 2]]
  })

const goodDraft = (queue: QueueName, number: number) => ({
  owner_id: "1",
  username: "ada",
  ...(queue === "public" ? { channel: "general" } : { recipient_id: "2", recipient: "bob" }),
  message: `good ${number}`,
})

const portion = 500

/** Poison and good messages by turns, as many of the ones as of the others. */
const fill = Effect.fnUntraced(function* (queue: QueueName, poison: ReadonlyArray<Entry>) {
  const chat = yield* ChatCache
  const { keyPrefix } = yield* Settings
  const client = yield* rawClient((yield* ValkeyServer).url)
  const publishAll = queue === "public" ? chat.publishAll : chat.publishAllPrivate
  for (let start = 0; start < poison.length; start += portion) {
    const entries = poison.slice(start, start + portion).map((entry) => Buffer.from(entry))
    const drafts = entries.map((_, index) => goodDraft(queue, start + index))
    const half = entries.length >> 1
    yield* Effect.all(yield* publishAll(drafts.slice(0, half)))
    yield* Effect.promise(() => client.rpush(keyPrefix + lists[queue], ...entries))
    yield* Effect.all(yield* publishAll(drafts.slice(half)))
  }
}, Effect.scoped)

interface Places {
  readonly rows: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  /** By `entryKey`. */
  readonly quarantined: ReadonlyMap<
    string,
    ReadonlyArray<{ readonly reason: unknown; readonly status: unknown }>
  >
}

const look = Effect.fnUntraced(function* (queue: QueueName) {
  const rows = yield* execute(`SELECT * FROM ${tables[queue]}`)
  const entries = yield* execute(
    `SELECT raw, reason, status FROM quarantined_messages WHERE queue = '${queue}'`,
  )
  const quarantined = new Map<string, Array<{ readonly reason: unknown; readonly status: unknown }>>()
  for (const { raw, reason, status } of entries) {
    const key = entryKey(raw as Buffer)
    quarantined.set(key, [...(quarantined.get(key) ?? []), { reason, status }])
  }
  const places: Places = { rows: new Map(rows.map((row) => [row["message_id"] as string, row])), quarantined }
  return { ...places, rowCount: rows.length, entryCount: entries.length }
})

const saysTheSame = (message: CachedMessage, row: Readonly<Record<string, unknown>>): boolean =>
  Object.entries(message).every(
    ([field, value]) => field === "cache_id" || field === "authored_at" || row[field] === value,
  )

/** A message is a row that says what it says, or in conflict with one; anything else is quarantined for what it is. */
const checkPlace = (queue: QueueName, entry: Entry, { rows, quarantined }: Places): void => {
  const found = quarantined.get(entryKey(entry)) ?? []
  const decoded = decodeEntry(queue, entry)
  if (Either.isLeft(decoded)) {
    assert.deepStrictEqual(found, [{ reason: decoded.left.reason, status: "open" }], shown(entry))
    return
  }
  const row = rows.get(decoded.right.message_id)
  assert.isDefined(row, `lost: ${shown(entry)}`)
  const expected = saysTheSame(decoded.right, row!) ? [] : [{ reason: "message_id_conflict", status: "open" }]
  assert.deepStrictEqual(found, expected, shown(entry))
}

const perQueue = 5000

const veryLong = "x".repeat(10_000_000)

/** What is larger than a batch may be goes alone. */
const veryLongEntries = [
  entryOf(
    1,
    JSON.stringify({ ...goodDraft("public", -1), message: veryLong, authored_at: "2026-03-01T12:00:00Z" }),
  ),
  Buffer.from(`["${veryLong}`),
]

/** Made before there is a connection, which would be given up while nothing is read from it. */
const poisons = {
  public: [...withRepetitions("public", fc.sample(poisonedEntry("public"), perQueue)), ...veryLongEntries],
  private: withRepetitions("private", fc.sample(poisonedEntry("private"), perQueue)),
}

const drafts = {
  public: fc.sample(doubtfulDraft("public"), 1000),
  private: fc.sample(doubtfulDraft("private"), 1000),
}

it.live(
  "each of 10,000 doubtful entries is stored or quarantined with its bytes, and every good one is stored once",
  () =>
    Effect.gen(function* () {
      const chat = yield* ChatCache
      yield* fill("public", poisons.public)
      yield* fill("private", poisons.private)
      yield* chat.flush
      const status = yield* chat.status
      for (const queue of ["public", "private"] as const) {
        const places = yield* look(queue)
        for (const entry of poisons[queue]) checkPlace(queue, entry, places)
        const goodRows = yield* execute(
          `SELECT count(*)::int AS rows, count(DISTINCT message)::int AS messages FROM ${tables[queue]} WHERE message ~ '^good [0-9]+$'`,
        )
        assert.deepStrictEqual(goodRows, [{ rows: poisons[queue].length, messages: poisons[queue].length }])

        const { length, persisted, duplicates, quarantined, quarantine, books } = status.queues[queue]
        assert.strictEqual(length, 0)
        assert.strictEqual(persisted, places.rowCount)
        assert.strictEqual(quarantined, places.entryCount)
        assert.deepStrictEqual(quarantine, { open: places.entryCount, replayed: 0, discarded: 0 })
        assert.strictEqual(persisted + duplicates + quarantined, 2 * poisons[queue].length)
        assert.strictEqual(books.queued, 0)
        // The mixture is one: neither kind is rare.
        assert.isAbove(places.entryCount, perQueue / 4)
        assert.isAbove(places.rowCount - poisons[queue].length, perQueue / 4)
      }
      const tableChecks = ["rows", "quarantine", "journal"]
      const { findings } = yield* chat.audit
      assert.deepStrictEqual(
        findings.filter(({ severity, check }) => severity === "error" && tableChecks.includes(check)),
        [],
      )
    }).pipe(Effect.provide(layer)),
  120_000,
)

it.live("of 2,000 doubtful drafts, each that is accepted is stored as it was said, and no other", () =>
  Effect.gen(function* () {
    const chat = yield* ChatCache
    for (const queue of ["public", "private"] as const) {
      const publishAll = queue === "public" ? chat.publishAll : chat.publishAllPrivate
      const outcomes = yield* publishAll(drafts[queue])
      yield* chat.flush
      const { rows, rowCount, entryCount } = yield* look(queue)
      assert.strictEqual(entryCount, 0)
      let accepted = 0
      for (const [index, outcome] of outcomes.entries()) {
        if (Either.isLeft(outcome)) {
          assert.strictEqual(outcome.left._tag, "InvalidMessage")
          continue
        }
        accepted++
        const { message_id, authored_at } = outcome.right
        const row = rows.get(message_id)
        assert.isDefined(row)
        const { message_id: _, authored_at: __, ...said } = drafts[queue][index]!
        const columns = Object.keys(said).filter((field) => Object.hasOwn(row!, field))
        for (const column of columns)
          if (column !== "cache_id") assert.strictEqual(row![column], said[column])
        // PostgreSQL rounds to microseconds.
        const distance = (row!["authored_at"] as Date).getTime() - Date.parse(authored_at.toUpperCase())
        assert.isAtMost(Math.abs(distance), 1)
      }
      assert.strictEqual(rowCount, accepted)
      assert.isAbove(accepted, 100)
      assert.isBelow(accepted, 900)
    }
  }).pipe(Effect.provide(layer)),
)
