import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { onServersIt, type World } from "./world.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { query } from "../support/Servers.ts"

const sql = (statement: string, values: ReadonlyArray<unknown> = []) =>
  Effect.flatMap(PostgresServer, ({ url }) => query(url, statement, values))

/** As the predecessor had them: times without a zone, and a public table that knows the ids of the counter. */
const predecessor = sql(`
    CREATE SCHEMA chatserver;
    CREATE TABLE chatserver.chat_messages (
      message_id bigserial PRIMARY KEY, cache_id bigint, owner_id varchar(36), username varchar(64),
      channel varchar(100), message text, authored_at timestamp
    );
    CREATE TABLE chatserver.private_messages (
      message_id bigserial PRIMARY KEY, "senderID" varchar(36), sender_name varchar(64),
      recipient_id varchar(36), recipient_name varchar(64), body text, created_at timestamp
    )`)

const publicRow = (cacheId: number | null, message: string, channel = "general") =>
  sql(
    `INSERT INTO chatserver.chat_messages (cache_id, owner_id, username, channel, message, authored_at)
     VALUES ($1, '1', 'ada', $2, $3, '2026-03-01 12:00:00.123456')`,
    [cacheId, channel, message],
  )

/** As cjson wrote it, with the fields in any order and no message_id. */
const queuedEntry = (cacheId: number, message: string) =>
  JSON.stringify({
    cache_id: cacheId,
    data: {
      channel: "general",
      message,
      username: "ada",
      authored_at: "2026-03-01T11:00:00.123456100Z",
      owner_id: "1",
    },
  })

const stored = sql(
  `SELECT cache_id, message, authored_at = '2026-03-01T11:00:00.123456Z' AS is_in_time
   FROM chat_messages ORDER BY cache_id, message`,
)

const berlin = ["import", "--time-zone", "Europe/Berlin", "--json"]

const withoutWarning = ({ json }: { readonly json: any }) => json.tables[0]

onServersIt("import takes every row once, however often it is done", ({ run, valkey, keyPrefix }) =>
  Effect.gen(function* () {
    yield* predecessor
    yield* publicRow(1, "first")
    yield* publicRow(2, "second")
    // The predecessor died between storing it and removing it from the queue.
    yield* publicRow(3, "stored and queued")
    yield* publicRow(4, "of a channel with too long a name", "x".repeat(25))
    yield* publicRow(null, "without an id")
    yield* sql(`
      INSERT INTO chatserver.private_messages ("senderID", sender_name, recipient_id, recipient_name, body, created_at)
      VALUES ('1', 'ada', '2', 'bob', 'Psst', '2026-03-01 12:00')`)
    yield* valkey((client) =>
      client.rpush(
        `${keyPrefix}flush_messages`,
        queuedEntry(3, "stored and queued"),
        queuedEntry(5, "queued alone"),
      ),
    )

    const rehearsal = yield* run([...berlin, "--dry-run"])
    assert.strictEqual(rehearsal.code, 0, rehearsal.stderr)
    assert.deepInclude(rehearsal.json.tables[0], { rows: 5, imported: 4, quarantined: 1 })
    assert.deepStrictEqual(yield* stored, [])

    const done = yield* run(berlin)
    assert.deepStrictEqual([done.code, done.stderr], [0, ""])
    assert.deepStrictEqual(done.json.tables, [
      {
        source: "chatserver.chat_messages",
        queue: "public",
        rows: 5,
        imported: 4,
        already_stored: 0,
        deleted: 0,
        quarantined: 1,
        already_quarantined: 0,
      },
      {
        source: "chatserver.private_messages",
        queue: "private",
        rows: 1,
        imported: 1,
        already_stored: 0,
        deleted: 0,
        quarantined: 0,
        already_quarantined: 0,
      },
    ])
    // The next id is above all that were imported.
    assert.isAtLeast(Number(yield* valkey((client) => client.get(`${keyPrefix}cache_message_id`))), 4)

    assert.deepInclude(withoutWarning(yield* run(berlin)), {
      imported: 0,
      already_stored: 4,
      quarantined: 0,
      already_quarantined: 1,
    })
    assert.deepInclude((yield* run(["flush", "--json"])).json.public, { persisted: 1, duplicates: 1 })
    // The queue is empty by now: what was queued is recognised among what is stored.
    assert.deepInclude(withoutWarning(yield* run(berlin)), { imported: 0, already_stored: 4 })
    assert.deepStrictEqual(
      (yield* stored).map((row) => [row["cache_id"], row["message"], row["is_in_time"]]),
      [
        ["0", "without an id", true],
        ["1", "first", true],
        ["2", "second", true],
        ["3", "stored and queued", true],
        ["5", "queued alone", true],
      ],
    )
    const { checks } = (yield* run(["doctor", "--json"])).json
    assert.deepInclude(
      checks.find(({ check }: { readonly check: string }) => check === "rows"),
      { severity: "ok" },
    )
    assert.deepInclude((yield* run(["quarantine", "list", "--json"])).json.entries[0], {
      reason: "invalid_import",
      cache_id: 4,
    })
  }),
)

const readsNothing = (
  name: string,
  prepare: Effect.Effect<unknown, never, PostgresServer>,
  args: ReadonlyArray<string>,
  says: string,
) =>
  onServersIt(name, ({ run }: World) =>
    Effect.gen(function* () {
      yield* prepare
      const outcome = yield* run([...args, "--json"])
      assert.deepStrictEqual([outcome.code, outcome.stdout], [1, ""])
      assert.strictEqual(outcome.error._tag, "ImportImpossible")
      assert.include(outcome.error.message, says)
    }),
  )

readsNothing("import says that there are no tables", Effect.void, ["import"], "--schema")

readsNothing(
  "import says which columns it misses, and which there are",
  predecessor.pipe(Effect.zipRight(sql("ALTER TABLE chatserver.chat_messages RENAME channel TO place"))),
  ["import"],
  "no column for channel",
)

readsNothing(
  "import knows no invented time zone",
  predecessor,
  ["import", "--time-zone", "Mars/Olympus"],
  "time zone",
)

onServersIt(
  "import takes a column by the name that it is given, and a flush that came first for what it is",
  ({ run, valkey, keyPrefix }) =>
    Effect.gen(function* () {
      yield* predecessor
      yield* publicRow(3, "stored and queued")
      yield* sql("ALTER TABLE chatserver.chat_messages RENAME channel TO place")
      yield* valkey((client) =>
        client.rpush(`${keyPrefix}flush_messages`, queuedEntry(3, "stored and queued")),
      )
      assert.strictEqual((yield* run(["flush", "--json"])).json.public.persisted, 1)
      const done = yield* run([...berlin, "--column", "channel=place"])
      assert.deepInclude(withoutWarning(done), { imported: 0, already_stored: 1 })
      assert.strictEqual((yield* stored).length, 1)
    }),
)
