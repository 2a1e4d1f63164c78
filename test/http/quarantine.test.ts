import { assert, describe } from "@effect/vitest"
import { Effect, Ref } from "effect"
import { StoreUnavailable } from "../../src/domain/Errors.ts"
import type { QueueName } from "../../src/domain/Message.ts"
import type { NewQuarantineEntry } from "../../src/domain/Quarantine.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { outage, StoreFaults } from "../support/FaultyStore.ts"
import { send, textOf } from "./client.ts"
import { Faults, publicDraft, test } from "./TestServer.ts"

const identity = {
  message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff",
  authored_at: "2026-03-01T12:00:00.000Z",
}

const storable = `{"cache_id":7,"data":${JSON.stringify({ ...publicDraft(), ...identity })}}`
const unstorable = `{"cache_id":8,"data":{"message_id":"${identity.message_id}","message":"ü"}}`

const quarantine = (queue: QueueName, ...raws: ReadonlyArray<string | Uint8Array>) =>
  Effect.flatMap(MessageStore, (store) =>
    store.transaction((transaction) =>
      transaction.quarantine(
        queue,
        raws.map((raw): NewQuarantineEntry => ({
          cacheId: 7,
          reason: "wrong_shape",
          sqlstate: null,
          error: "data.channel is missing",
          raw: typeof raw === "string" ? Buffer.from(raw) : raw,
        })),
      ),
    ),
  )

const ids = (entries: ReadonlyArray<{ readonly id: number }>) => entries.map(({ id }) => id)

describe("GET /quarantine", () => {
  test(
    "lists the open entries in pages, of one queue or of both",
    Effect.gen(function* () {
      yield* quarantine("public", "a", "b", "c")
      yield* quarantine("private", "d")
      yield* send("DELETE", "/quarantine/2")
      for (const [query, expected] of [
        ["", [1, 3, 4]],
        ["?queue=public", [1, 3]],
        ["?queue=private", [4]],
        ["?status=discarded", [2]],
        ["?status=replayed", []],
        ["?limit=1", [1]],
        ["?limit=1&after=1", [3]],
        ["?after=0&limit=1000&queue=public&status=open", [1, 3]],
      ] as const) {
        const { status, body } = yield* send("GET", `/quarantine${query}`)
        assert.strictEqual(status, 200)
        assert.deepStrictEqual(ids(body.entries), [...expected])
      }
    }),
  )

  test(
    "lists a hundred unless asked for another number",
    Effect.gen(function* () {
      yield* quarantine("public", ...Array.from({ length: 101 }, (_, index) => `number ${index}`))
      assert.lengthOf((yield* send("GET", "/quarantine")).body.entries, 100)
      assert.lengthOf((yield* send("GET", "/quarantine?limit=1000")).body.entries, 101)
    }),
  )

  test(
    "names every parameter that is wrong",
    Effect.gen(function* () {
      const { status, body } = yield* send("GET", "/quarantine?queue=secret&status=all&limit=1001&after=-1")
      assert.strictEqual(status, 400)
      assert.strictEqual(body._tag, "InvalidRequest")
      assert.sameDeepMembers(body.problems, [
        { field: "queue", problem: 'must be "public" or "private"' },
        { field: "status", problem: 'must be "open", "replayed" or "discarded"' },
        { field: "limit", problem: "must be one integer, from 1 to 1000" },
        { field: "after", problem: "must be one integer, 0 or greater" },
      ])
      assert.notInclude(textOf(body), "secret")
    }),
  )
})

describe("GET /quarantine/:id", () => {
  test(
    "shows an entry, as text where it is text",
    Effect.gen(function* () {
      yield* quarantine(
        "public",
        unstorable,
        Uint8Array.of(0x7b, 0xff),
        Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b),
      )
      const { status, body } = yield* send("GET", "/quarantine/1")
      assert.strictEqual(status, 200)
      const { quarantined_at, ...entry } = body
      assert.isNotNaN(Date.parse(quarantined_at))
      assert.deepStrictEqual(entry, {
        id: 1,
        queue: "public",
        cache_id: 7,
        reason: "wrong_shape",
        sqlstate: null,
        error: "data.channel is missing",
        raw: unstorable,
        raw_encoding: "utf-8",
        status: "open",
        resolved_at: null,
      })
      const bytes = yield* send("GET", "/quarantine/2")
      assert.strictEqual(bytes.body.raw, "e/8=")
      assert.strictEqual(bytes.body.raw_encoding, "base64")
      const withByteOrderMark = yield* send("GET", "/quarantine/3")
      assert.strictEqual(withByteOrderMark.body.raw, "\ufeff{")
    }),
  )

  for (const id of ["x", "0", "-1", "1.5", "9007199254740993", "01x", ""]) {
    test(
      `refuses the id "${id}" everywhere`,
      Effect.gen(function* () {
        for (const [method, path] of [
          ["GET", `/quarantine/${id}`],
          ["DELETE", `/quarantine/${id}`],
          ["POST", `/quarantine/${id}/replay`],
        ] as const) {
          const { status, body } = yield* send(method, path)
          assert.strictEqual(status, 400)
          assert.deepStrictEqual(body.problems, [
            { field: "id", problem: "must be one integer, 1 or greater" },
          ])
        }
      }),
    )
  }

  test(
    "answers 404 to an id that nobody has",
    Effect.gen(function* () {
      for (const [method, path] of [
        ["GET", "/quarantine/5"],
        ["DELETE", "/quarantine/5"],
        ["POST", "/quarantine/5/replay"],
      ] as const) {
        const { status, body } = yield* send(method, path)
        assert.strictEqual(status, 404)
        assert.strictEqual(body._tag, "QuarantineEntryNotFound")
        assert.strictEqual(body.id, 5)
      }
    }),
  )
})

describe("POST /quarantine/:id/replay", () => {
  test(
    "stores the message as it was, once",
    Effect.gen(function* () {
      yield* quarantine("public", storable)
      for (const _ of ["first", "again"]) {
        const { status, body } = yield* send("POST", "/quarantine/1/replay")
        assert.strictEqual(status, 200)
        assert.strictEqual(body.status, "replayed")
        assert.isNotNull(body.resolved_at)
      }
      const corrected = yield* send("POST", "/quarantine/1/replay", { json: publicDraft() })
      assert.strictEqual(corrected.status, 409)
      assert.deepInclude(corrected.body, { _tag: "QuarantineEntryResolved", id: 1, status: "replayed" })
      assert.strictEqual((yield* send("DELETE", "/quarantine/1")).status, 409)
    }),
  )

  test(
    "stores a corrected message",
    Effect.gen(function* () {
      yield* quarantine("public", unstorable)
      const refused = yield* send("POST", "/quarantine/1/replay")
      assert.strictEqual(refused.status, 400)
      assert.strictEqual(refused.body._tag, "ReplayRefused")
      assert.isNotEmpty(refused.body.problems)
      const stillWrong = yield* send("POST", "/quarantine/1/replay", { json: publicDraft({ channel: "" }) })
      assert.deepStrictEqual(stillWrong.body.problems, [{ field: "channel", problem: "must not be empty" }])
      const { status, body } = yield* send("POST", "/quarantine/1/replay", { json: publicDraft() })
      assert.strictEqual(status, 200)
      assert.strictEqual(body.status, "replayed")
    }),
  )

  test(
    "takes no body for no correction, whatever the content type, and a broken one for none",
    Effect.gen(function* () {
      yield* quarantine("public", storable)
      const json = { "content-type": "application/json" }
      assert.strictEqual(
        (yield* send("POST", "/quarantine/1/replay", { body: "{", headers: json })).status,
        400,
      )
      assert.strictEqual((yield* send("POST", "/quarantine/1/replay", { body: "{}" })).status, 415)
      assert.strictEqual((yield* send("GET", "/quarantine/1")).body.status, "open")
      assert.strictEqual((yield* send("POST", "/quarantine/1/replay", { headers: json })).status, 200)
    }),
  )
})

describe("DELETE /quarantine/:id", () => {
  test(
    "discards an entry, whose bytes are kept",
    Effect.gen(function* () {
      yield* quarantine("public", storable)
      for (const _ of ["first", "again"]) {
        const { status, body } = yield* send("DELETE", "/quarantine/1")
        assert.strictEqual(status, 204)
        assert.isUndefined(body)
      }
      const { body } = yield* send("GET", "/quarantine/1")
      assert.strictEqual(body.status, "discarded")
      assert.strictEqual(body.raw, storable)
      assert.strictEqual((yield* send("POST", "/quarantine/1/replay")).status, 409)
    }),
  )
})

test(
  "the quarantine answers 503 when PostgreSQL is away",
  Effect.gen(function* () {
    yield* quarantine("public", storable)
    yield* (yield* StoreFaults).set({ at: "begin", error: outage })
    yield* Ref.set((yield* Faults).reads, new StoreUnavailable(outage))
    for (const [method, path] of [
      ["GET", "/quarantine"],
      ["GET", "/quarantine/1"],
      ["POST", "/quarantine/1/replay"],
      ["DELETE", "/quarantine/1"],
    ] as const) {
      const { status, body, headers } = yield* send(method, path)
      assert.strictEqual(status, 503)
      assert.strictEqual(body._tag, "StoreUnavailable")
      assert.strictEqual(headers["retry-after"], "5")
    }
  }),
)
