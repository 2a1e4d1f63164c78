import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { inject } from "vitest"
import { bothWays, type World } from "./world.ts"

const send = ["send", "--owner-id", "1", "--username", "ada"]
const publicMessage = [...send, "--channel", "general", "Hello"]
const privateMessage = [...send, "--recipient-id", "2", "--recipient", "bob", "Psst"]

const file = (content: string) =>
  Effect.promise(async () => {
    const name = path.join(inject("temporaryDirectory"), randomUUID())
    await fs.writeFile(name, content)
    return name
  })

const text = (document: object) => JSON.stringify(document)

const all = { concurrency: 2 } as const

/** Entries that the flusher cannot store, and their ids in the quarantine. */
const quarantined = Effect.fnUntraced(function* (
  { run, valkey, keyPrefix }: World,
  entries: ReadonlyArray<string>,
) {
  yield* valkey((client) => client.rpush(`${keyPrefix}flush_messages`, ...entries))
  yield* run(["flush"])
  const { json } = yield* run(["quarantine", "list", "--json"])
  return json.entries.map(({ id }: { readonly id: number }) => id) as ReadonlyArray<number>
})

bothWays("takes messages, shows them and moves them into PostgreSQL", ({ run }) =>
  Effect.gen(function* () {
    const again = [...publicMessage, "--message-id", "0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11"]
    const sent = yield* run([...again, "--json"])
    assert.deepStrictEqual([sent.code, sent.stderr], [0, ""])
    assert.strictEqual(sent.json.cache_id, 1)
    yield* run(again)
    assert.strictEqual((yield* run([...send, "--channel", "general"], { input: "from a pipe\n" })).code, 0)
    assert.strictEqual((yield* run(privateMessage)).code, 0)

    const [recent, one, ofUser, ofNobody, status] = yield* Effect.all(
      [
        run(["recent", "--json"]),
        run(["recent", "--limit", "1"]),
        run(["recent", "--user", "2"]),
        run(["recent", "--user", "3"]),
        run(["status", "--json"]),
      ],
      all,
    )
    assert.deepStrictEqual(
      recent.json.messages.map(({ message }: { readonly message: string }) => message),
      ["Hello", "from a pipe"],
    )
    assert.match(one.stdout, /^cache_id +authored_at[^\n]*\n3 [^\n]*from a pipe\n$/)
    assert.include(ofUser.stdout, "Psst")
    assert.include(ofNobody.stdout, "No recent messages.")
    assert.strictEqual(status.json.queues.public.length, 3)

    const flushed = yield* run(["flush", "--json"])
    assert.strictEqual(flushed.code, 0, flushed.stderr)
    assert.deepInclude(flushed.json.public, { persisted: 2, duplicates: 1, quarantined: 0, remaining: 0 })
    assert.strictEqual(flushed.json.private.persisted, 1)

    yield* run([...send, "--channel", "other", "Elsewhere"])
    const [channel, page, both] = yield* Effect.all(
      [
        run(["recent", "--channel", "other", "--json"]),
        run(["history", "--channel", "general", "--limit", "1", "--json"]),
        run(["history", "--channel", "general", "--user", "1"]),
      ],
      all,
    )
    assert.strictEqual(channel.json.messages.length, 1)
    assert.deepStrictEqual(
      page.json.messages.map(({ message }: { readonly message: string }) => message),
      ["from a pipe"],
    )
    assert.strictEqual(both.code, 64)
    const older = yield* run(["history", "--before", page.json.previous])
    assert.include(older.stdout, "Hello")
    assert.strictEqual((yield* run(["history", "--before", "nowhere", "--json"])).code, 1)

    const remove = ["delete", sent.json.message_id]
    assert.strictEqual((yield* run(remove)).code, 64)
    assert.deepStrictEqual((yield* run([...remove, "--yes", "--json"])).json, {
      deleted: sent.json.message_id,
    })
    assert.strictEqual((yield* run(["recent", "--json"])).json.messages.length, 2)
    assert.strictEqual((yield* run(["delete", "seven", "--yes", "--json"])).error._tag, "InvalidMessageId")
  }),
)

bothWays("refuses what cannot be stored, and limits who sends too much", ({ run }) =>
  Effect.gen(function* () {
    const refused = yield* run([...send, "--channel", "x".repeat(25), "Hello", "--json"])
    assert.deepStrictEqual([refused.code, refused.stdout], [1, ""])
    assert.strictEqual(refused.error._tag, "InvalidMessage")
    assert.deepStrictEqual(refused.error.problems, [
      { field: "channel", problem: "must be at most 24 characters long" },
    ])

    const set = yield* run(["rate-limit", "set", "1", "600", "--json"])
    assert.deepStrictEqual(set.json, { message_limit: 1, window_seconds: 600 })
    assert.include((yield* run(["rate-limit", "get"])).stdout, "1 messages of one user in 600 seconds")
    yield* run(publicMessage)
    const limited = yield* run(publicMessage)
    assert.strictEqual(limited.code, 1)
    assert.match(limited.stderr, /^[^\n]*try again[^\n]*\n$/i)
    assert.strictEqual(
      (yield* run(["rate-limit", "set", "0", "60", "--json"])).error._tag,
      "InvalidRateLimitSettings",
    )

    yield* run(["rate-limit", "set", "2", "600"])
    const ofType = ["events", "--type", "RateLimitChanged", "--limit", "1"]
    const [newest, first] = yield* Effect.all(
      [run([...ofType, "--json"]), run([...ofType, "--after", "0"])],
      all,
    )
    assert.strictEqual(newest.json.events.length, 1)
    assert.strictEqual(newest.json.events[0].event.message_limit, 2)
    assert.include(first.stdout, "message_limit=1")
  }),
)

bothWays("drops private caches, all of them only when it is meant", ({ run }) =>
  Effect.gen(function* () {
    yield* run(privateMessage)
    assert.deepStrictEqual((yield* run(["private", "clear", "1", "--json"])).json, { deleted: 1 })
    const unconfirmed = yield* run(["private", "clear", "--all", "--json"])
    assert.deepStrictEqual([unconfirmed.code, unconfirmed.error._tag], [64, "NotConfirmed"])
    assert.include(unconfirmed.error.message, "--yes")
    assert.deepStrictEqual((yield* run(["private", "clear", "--all", "--yes", "--json"])).json, {
      deleted: 1,
    })
  }),
)

const storable = JSON.stringify({ owner_id: "1", username: "ada", channel: "general", message: "corrected" })

bothWays("shows the quarantine, and replays a message that was corrected", (world) =>
  Effect.gen(function* () {
    const { run } = world
    const broken = '{"cache_id":7,"data":{"channel":"general","message":"said"}}'
    const data = { owner_id: "1", username: "ada", channel: "x".repeat(25), message: "said" }
    const tooLong = text({ cache_id: 8, data: { ...data, authored_at: "2026-03-01T12:00:00Z" } })
    const [id, edited] = yield* quarantined(world, [broken, tooLong])
    const replay = ["quarantine", "replay", String(id), "--json"]
    const edit = ["quarantine", "replay", String(edited), "--edit", "--json"]

    const [shown, absent, refused, notJson, noEditor, badEditor] = yield* Effect.all(
      [
        run(["quarantine", "show", String(id), "--json"]),
        run(["quarantine", "show", "4711", "--json"]),
        run(replay),
        run([...replay, "--file", yield* file("{")]),
        run(edit),
        run(edit, { environment: { EDITOR: "false" } }),
      ],
      all,
    )
    assert.deepInclude(shown.json, { id, reason: "wrong_shape", raw: broken, status: "open" })
    assert.strictEqual(absent.error._tag, "QuarantineEntryNotFound")
    assert.strictEqual(refused.code, 1)
    assert.deepInclude(refused.json.failed[0], { id, _tag: "ReplayRefused" })
    assert.deepStrictEqual([notJson.code, notJson.error._tag], [1, "FileUnusable"])
    assert.deepStrictEqual([noEditor.code, noEditor.error._tag], [64, "UsageError"])
    assert.deepStrictEqual([badEditor.code, badEditor.error._tag], [1, "FileUnusable"])

    const replayed = yield* run([...replay, "--file", yield* file(storable)])
    assert.deepStrictEqual([replayed.code, replayed.json], [0, { replayed: [id], failed: [], untried: 0 }])
    const byHand = yield* run(edit, { environment: { EDITOR: "sed -i s/xxx*/general/" } })
    assert.deepStrictEqual([byHand.code, byHand.json.replayed], [0, [edited]])
    const gone = yield* run(["quarantine", "discard", String(id), "--json"])
    assert.deepInclude(gone.json.failed[0], { id, _tag: "QuarantineEntryResolved" })
  }),
)

bothWays("replays and discards many, and says what failed and why", (world) =>
  Effect.gen(function* () {
    const { run } = world
    const ids = yield* quarantined(world, ["no JSON", "nor this", '{"cache_id":7,"data":{}}'])
    const replayed = yield* run(["quarantine", "replay", "--all", "--json"])
    assert.strictEqual(replayed.code, 1)
    assert.deepStrictEqual(
      replayed.json.failed.map(({ id }: { readonly id: number }) => id),
      ids,
    )
    const unconfirmed = yield* run(["quarantine", "discard", "--reason", "invalid_json"])
    assert.strictEqual(unconfirmed.code, 64)
    assert.include(unconfirmed.stderr, "This discards 2 quarantined messages")
    const discarded = yield* run(["quarantine", "discard", "--reason", "invalid_json", "--yes"])
    assert.deepStrictEqual([discarded.code, discarded.stdout], [0, "2 discarded, 0 failed.\n"])
    const rest = yield* run(["quarantine", "list", "--status", "discarded", "--limit", "1", "--json"])
    assert.strictEqual(rest.json.entries.length, 1)
  }),
)
