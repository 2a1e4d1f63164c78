/** What somebody does behind the back of chat-cache, on real servers, and what the audit says of it. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Logger, LogLevel, Struct, TestClock } from "effect"
import * as AuditLayer from "../../src/layers/Audit.ts"
import * as CacheMemory from "../../src/layers/CacheMemory.ts"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as JournalStateLayer from "../../src/layers/JournalState.ts"
import * as MessageStoreMemory from "../../src/layers/MessageStoreMemory.ts"
import { Audit, type AuditFinding } from "../../src/services/Audit.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { Settings } from "../../src/services/Settings.ts"
import { StoreSnapshot } from "../../src/services/StoreSnapshot.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { settingsLayer } from "../contracts/CacheBackend.ts"
import {
  ControlledPostgres,
  controlledPostgres,
  ControlledValkey,
  controlledValkey,
  freshDatabase,
  query,
  uniqueKeyPrefix,
  valkeyShared,
} from "../support/Servers.ts"
import { rawClient } from "./valkey/rawClient.ts"

const layer = ChatCacheLayer.layer.pipe(
  Layer.provideMerge(
    Layer.unwrapEffect(Effect.map(uniqueKeyPrefix, (keyPrefix) => settingsLayer({ keyPrefix }))),
  ),
  Layer.provideMerge(Layer.merge(valkeyShared, freshDatabase)),
  Layer.provide(Logger.minimumLogLevel(LogLevel.None)),
)

const messageId = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`

const draft = (number: number, text = `number ${number}`) => ({
  owner_id: "1",
  username: "ada",
  channel: "general",
  message: text,
  message_id: messageId(number),
})

const privateDraft = (number: number) => ({
  ...Struct.omit(draft(number), "channel"),
  recipient_id: "2",
  recipient: "bob",
})

const drafts = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => draft(from + index))

const execute = (statement: string) => Effect.flatMap(PostgresServer, ({ url }) => query(url, statement))

/** As a superuser who switches the triggers off that protect the journal. */
const forge = (statement: string) => execute(`SET session_replication_role = replica; ${statement}`)

const onValkey = <A>(
  body: (client: Effect.Effect.Success<ReturnType<typeof rawClient>>, prefix: string) => Promise<A>,
) =>
  Effect.gen(function* () {
    const { keyPrefix } = yield* Settings
    const client = yield* rawClient((yield* ValkeyServer).url)
    return yield* Effect.promise(() => body(client, keyPrefix))
  }).pipe(Effect.scoped)

const audit = Effect.flatMap(ChatCache, (chat) => chat.audit)

const findings = Effect.map(audit, (report) => report.findings)

const facts = ({ severity, check, queue, count, examples }: AuditFinding) => ({
  severity,
  check,
  queue,
  count,
  examples,
})

/** Three flushes of ten messages each, one quarantined entry of each kind, and one private message. */
const filled = Effect.gen(function* () {
  const chat = yield* ChatCache
  for (const from of [1, 11, 21]) {
    yield* chat.publishAll(drafts(from, from + 9))
    yield* chat.flush
  }
  yield* chat.publish(draft(1, "other content"))
  yield* onValkey((client, prefix) => client.rpush(`${prefix}flush_messages`, "not JSON", "nor this"))
  yield* chat.publishPrivate(privateDraft(1))
  yield* chat.flush
  const entries = yield* chat.quarantine.list({ limit: 10 })
  assert.lengthOf(entries, 3)
  yield* chat.quarantine.replay(entries[1]!.id, Struct.omit(draft(0, "corrected"), "message_id"))
  yield* chat.quarantine.discard(entries[2]!.id)
  return chat
})

const test = <E>(name: string, body: Effect.Effect<void, E, Layer.Layer.Success<typeof layer>>) =>
  it.live(name, () => Effect.provide(body, layer))

describe("the audit", () => {
  test(
    "finds nothing where everything went its way, and counts what there is",
    Effect.gen(function* () {
      const chat = yield* filled
      yield* chat.publishAll(drafts(31, 35))
      const { durationMs, ...report } = yield* audit
      assert.isAtLeast(durationMs, 0)
      assert.deepStrictEqual(report, {
        consistent: true,
        findings: [],
        queues: {
          public: {
            rows: 31,
            rowsJournalled: 31,
            quarantine: { open: 1, replayed: 1, discarded: 1 },
            queued: 5,
          },
          private: {
            rows: 1,
            rowsJournalled: 1,
            quarantine: { open: 0, replayed: 0, discarded: 0 },
            queued: 0,
          },
        },
        journalPosition: (yield* chat.status).journalPosition,
      })
    }),
  )

  test(
    "finds nothing in what was never used",
    Effect.gen(function* () {
      const report = yield* audit
      assert.deepInclude(report, { consistent: true, findings: [] })
      assert.strictEqual(report.queues.public.rows, 0)
    }),
  )

  test(
    "names rows that were deleted with psql",
    Effect.gen(function* () {
      const chat = yield* filled
      yield* chat.clearPrivate()
      yield* execute("DELETE FROM chat_messages WHERE cache_id IN (3, 17); DELETE FROM private_messages")
      yield* onValkey((client, prefix) => client.del(`${prefix}recent_messages`))
      const report = yield* audit
      assert.isFalse(report.consistent)
      assert.deepStrictEqual(report.findings.map(facts), [
        {
          severity: "error",
          check: "rows",
          queue: "public",
          count: 2,
          examples: ["cache_id 3", "cache_id 17"],
        },
        { severity: "error", check: "rows", queue: "private", count: 1, examples: ["cache_id 1"] },
      ])
      assert.match(report.findings[0]!.reason, /2 rows are gone: .*29 rows, and it should have 31.*backup/)
    }),
  )

  test(
    "names rows that were deleted and are still shown in a recent cache",
    Effect.gen(function* () {
      yield* filled
      yield* execute("DELETE FROM chat_messages WHERE cache_id = 3; DELETE FROM private_messages")
      const example = (number: number, cacheId: number) => [
        `message_id ${messageId(number)} (cache_id ${cacheId})`,
      ]
      const recent = (yield* findings).filter(({ check }) => check === "recent").map(facts)
      assert.deepStrictEqual(recent, [
        { severity: "error", check: "recent", queue: "public", count: 1, examples: example(3, 3) },
        // Both who share the message see it.
        {
          severity: "error",
          check: "recent",
          queue: "private",
          count: 2,
          examples: [...example(1, 1), ...example(1, 1)],
        },
      ])
    }),
  )

  test(
    "names rows that were added with psql, whatever id they were given",
    Effect.gen(function* () {
      yield* filled
      yield* execute(
        `INSERT INTO chat_messages (message_id, cache_id, owner_id, username, channel, message, authored_at)
         SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, id, '1', 'eve', 'general', 'forged', now()
         FROM (VALUES (1, 15), (2, 1000), (3, -7)) AS forged (n, id)`,
      )
      const report = yield* audit
      assert.isFalse(report.consistent)
      const [rows, ...others] = report.findings.filter(({ check }) => check === "rows").map(facts)
      assert.deepStrictEqual(others, [])
      assert.deepInclude(rows, { severity: "error", queue: "public", count: 3 })
      assert.sameMembers(
        [...rows!.examples],
        [
          "message_id 00000000-0000-4000-8000-000000000001 (cache_id 15)",
          "message_id 00000000-0000-4000-8000-000000000002 (cache_id 1000)",
          "message_id 00000000-0000-4000-8000-000000000003 (cache_id -7)",
        ],
      )
      assert.deepInclude(report.findings.map(facts), {
        severity: "warning",
        check: "counter",
        queue: "public",
        count: 968,
        examples: [],
      })
    }),
  )

  test(
    "notices a row that was put in the place of another",
    Effect.gen(function* () {
      yield* filled
      yield* execute("UPDATE chat_messages SET cache_id = 1001 WHERE cache_id = 15")
      const rows = (yield* findings).filter(({ check }) => check === "rows").map(facts)
      assert.deepStrictEqual(rows, [
        {
          severity: "warning",
          check: "rows",
          queue: "public",
          count: 1,
          examples: [`message_id ${messageId(15)} (cache_id 1001)`],
        },
      ])
    }),
  )

  test(
    "names entries of the quarantine that were deleted, added or resolved with psql",
    Effect.gen(function* () {
      const chat = yield* filled
      const ids = (yield* chat.quarantine.list({ limit: 10 })).map(({ id }) => id)
      const [row] = yield* execute("SELECT id FROM quarantined_messages WHERE status = 'replayed'")
      const replayed = Number(row!["id"])
      yield* execute(
        `DELETE FROM quarantined_messages WHERE id = ${ids[0]};
         UPDATE quarantined_messages SET status = 'open', resolved_at = NULL WHERE id = ${replayed};
         INSERT INTO quarantined_messages (queue, raw, reason, error) VALUES ('private', '\\x00', 'forged', 'forged')`,
      )
      const [added] = yield* execute("SELECT max(id) AS id FROM quarantined_messages")
      const report = yield* audit
      assert.deepStrictEqual(report.findings.map(facts), [
        {
          severity: "error",
          check: "quarantine",
          queue: "public",
          count: 2,
          examples: [
            `quarantine id ${ids[0]} (table: gone, journal: open)`,
            `quarantine id ${replayed} (table: open, journal: replayed)`,
          ],
        },
        {
          severity: "error",
          check: "quarantine",
          queue: "private",
          count: 1,
          examples: [`quarantine id ${added!["id"]} (table: open, journal: unknown)`],
        },
      ])
    }),
  )

  test(
    "notices events that were taken out of the journal",
    Effect.gen(function* () {
      yield* filled
      const [event] = yield* forge(
        "DELETE FROM events WHERE position = (SELECT max(position) FROM events WHERE type = 'MessageQuarantined')",
      ).pipe(
        Effect.zipRight(
          execute(
            "SELECT max(position) AS position FROM events WHERE type = 'BatchPersisted' AND data ->> 'queue' = 'public'",
          ),
        ),
      )
      assert.deepInclude((yield* findings).map(facts), {
        severity: "error",
        check: "journal",
        queue: "public",
        count: 1,
        examples: [`position ${event!["position"]}`],
      })
      yield* forge(
        "DELETE FROM events WHERE position = (SELECT min(position) FROM events WHERE type = 'BatchPersisted')",
      )
      const rows = (yield* findings).filter(({ check }) => check === "rows")
      assert.deepInclude(rows[0], { severity: "error", queue: "public", count: 10 })
      assert.match(rows[0]!.reason, /10 rows were added/)
    }),
  )

  test(
    "says which event it cannot read",
    Effect.gen(function* () {
      yield* filled
      yield* forge("UPDATE events SET data = '{}' WHERE type = 'BatchPersisted' AND position < 10")
      const error = yield* Effect.flip(audit)
      assert.strictEqual(error._tag, "StoreMisconfigured")
      assert.match(error.message, /the event at position \d+ does not have the shape of a BatchPersisted/)
    }),
  )

  test(
    "tells a message that is stored and open in the quarantine from a conflict",
    Effect.gen(function* () {
      const chat = yield* filled
      const broken = { ...draft(40), authored_at: "yesterday" }
      yield* onValkey((client, prefix) =>
        client.rpush(`${prefix}flush_messages`, `{"cache_id":5,"data":${JSON.stringify(broken)}}`),
      )
      yield* chat.flush
      yield* chat.publish(draft(40))
      yield* chat.flush
      const found = (yield* findings).map(facts)
      const [entry] = (yield* chat.quarantine.list({ limit: 10 })).filter(
        ({ reason }) => reason === "wrong_shape",
      )
      assert.deepStrictEqual(found, [
        {
          severity: "warning",
          check: "stored-and-quarantined",
          queue: "public",
          count: 1,
          examples: [`quarantine id ${entry!.id}, message_id ${messageId(40)}`],
        },
      ])
    }),
  )

  test(
    "knows what a flush leaves that ends before its acknowledgement",
    Effect.gen(function* () {
      const chat = yield* filled
      yield* chat.publishAll(drafts(31, 33))
      const entries = yield* onValkey((client, prefix) =>
        client.lrangeBuffer(`${prefix}flush_messages`, 0, -1),
      )
      yield* chat.flush
      yield* onValkey((client, prefix) => client.rpush(`${prefix}flush_messages`, ...entries))
      yield* chat.publish(draft(34))
      const report = yield* audit
      assert.isTrue(report.consistent)
      const [first, ...others] = report.findings.map(facts)
      assert.deepStrictEqual(others, [])
      assert.deepInclude(first, { severity: "notice", check: "queued-and-stored", queue: "public", count: 3 })
      const { books } = (yield* chat.status).queues.public
      assert.deepInclude(books, { queued: 1, balanced: true })
      yield* chat.flush
      assert.deepStrictEqual(yield* findings, [])
      assert.deepInclude((yield* chat.status).queues.public.books, { queued: 0, balanced: true })
    }),
  )

  test(
    "names what Valkey has lost, and counts on where the counter was raised to",
    Effect.gen(function* () {
      const chat = yield* filled
      yield* chat.publishAll(drafts(31, 36))
      yield* onValkey((client, prefix) => client.del(`${prefix}flush_messages`, `${prefix}cache_message_id`))
      yield* chat.publish(draft(37))
      const found = yield* findings
      assert.deepStrictEqual(
        found.map(({ severity, check, count }) => [severity, check, count]),
        [
          ["error", "books", 6],
          ["error", "recent", 6],
        ],
      )
      assert.match(
        found[0]!.reason,
        /^6 accepted messages .*among ids 32 to 38.*Valkey has lost at least as many/,
      )
      yield* chat.flush
      const { books, reseeds } = (yield* chat.status).queues.public
      assert.deepInclude(books, { lost: 6, balanced: false, difference: found[0]!.reason })
      assert.strictEqual(reseeds, 1)
      // As the finding says: what the cache shows can be published again.
      yield* chat.publishAll(drafts(31, 36))
      yield* chat.flush
      assert.deepStrictEqual(
        (yield* findings).map(({ check }) => check),
        ["books"],
      )
    }),
  )

  test(
    "says when the counter is behind the tables",
    Effect.gen(function* () {
      const chat = yield* filled
      yield* onValkey((client, prefix) => client.set(`${prefix}cache_message_id`, "5"))
      const found = (yield* findings).filter(({ check }) => check === "counter")
      assert.deepInclude(found[0], { severity: "warning", queue: "public", count: 27 })
      yield* chat.publish(draft(50))
      yield* chat.flush
      assert.deepStrictEqual(
        (yield* findings).filter(({ check }) => check === "counter"),
        [],
      )
    }),
  )

  test(
    "changes nothing, and holds nobody up: messages are published and flushed meanwhile, and it stays right",
    Effect.gen(function* () {
      const chat = yield* filled
      let published = 30
      const busy = Effect.gen(function* () {
        yield* chat.publishAll(drafts(published + 101, published + 150))
        published += 50
        yield* chat.flush
      })
      const working = yield* Effect.fork(Effect.forever(busy))
      for (let round = 0; round < 15; round++) {
        const report = yield* audit
        // Between COMMIT and acknowledgement, messages are in both for a moment.
        assert.deepStrictEqual(
          report.findings.filter(({ severity }) => severity !== "notice"),
          [],
        )
      }
      assert.isNull(working.unsafePoll())
      assert.isAbove(published, 130)
    }),
  )

  it.live("says which server does not answer", () =>
    Effect.gen(function* () {
      const chat = yield* ChatCache
      const postgres = yield* ControlledPostgres
      const valkey = yield* ControlledValkey
      yield* chat.publish(draft(1))
      yield* chat.flush
      assert.isTrue((yield* chat.status).queues.public.books.balanced)
      yield* postgres.stop
      assert.strictEqual((yield* Effect.flip(chat.audit))._tag, "StoreUnavailable")
      const { books } = (yield* chat.status).queues.public
      assert.deepInclude(books, { stored: 1, accepted: null, balanced: null })
      yield* postgres.start
      assert.isTrue((yield* chat.audit).consistent)
      yield* valkey.stop
      assert.strictEqual((yield* Effect.flip(chat.audit))._tag, "CacheUnavailable")
    }).pipe(
      Effect.provide(
        ChatCacheLayer.layer.pipe(
          Layer.provide(settingsLayer({ shutdownTimeout: Duration.seconds(3) })),
          Layer.provideMerge(Layer.merge(controlledValkey, controlledPostgres)),
          Layer.provide(Logger.minimumLogLevel(LogLevel.None)),
        ),
      ),
    ),
  )

  it.effect("ends within a minute, also when PostgreSQL hangs", () =>
    Effect.gen(function* () {
      const { report } = yield* Audit
      const reports = yield* Effect.fork(
        Effect.all([Effect.flip(report), Effect.flip(report)], { concurrency: 2 }),
      )
      yield* TestClock.adjust("1 minute")
      for (const error of yield* Fiber.join(reports)) {
        assert.strictEqual(error._tag, "StoreUnavailable")
        assert.match(error.message, /within 1m/)
      }
    }).pipe(
      Effect.provide(
        AuditLayer.layer.pipe(
          Layer.provide(JournalStateLayer.layer),
          Layer.provide(Layer.succeed(StoreSnapshot, { read: () => Effect.never })),
          Layer.provide(Layer.merge(CacheMemory.layer, MessageStoreMemory.layer)),
          Layer.provide(settingsLayer({})),
        ),
      ),
    ),
  )
})
