import { assert, describe } from "@effect/vitest"
import { Effect, Ref } from "effect"
import { CacheUnavailable } from "../../src/domain/Errors.ts"
import { outage, StoreFaults } from "../support/FaultyStore.ts"
import { send } from "./client.ts"
import { Faults, privateDraft, publicDraft, test } from "./TestServer.ts"

const unseen = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"

const recentOf = (path: string) => Effect.map(send("GET", path), ({ body }) => body.messages)

describe("DELETE /messages/:message_id and /private-messages/:message_id", () => {
  test(
    "answer 204 without a body, and the message is gone",
    Effect.gen(function* () {
      const ofPublic = yield* send("POST", "/messages", { json: publicDraft() })
      const ofPrivate = yield* send("POST", "/private-messages", { json: privateDraft() })
      for (const path of [
        `/messages/${ofPublic.body.message_id}`,
        `/private-messages/${ofPrivate.body.message_id}`,
        `/private-messages/${ofPrivate.body.message_id}`,
        `/messages/${unseen}`,
      ]) {
        const { status, body } = yield* send("DELETE", path)
        assert.strictEqual(status, 204)
        assert.isUndefined(body)
      }
      assert.deepStrictEqual(yield* recentOf("/messages/recent"), [])
      assert.deepStrictEqual(yield* recentOf("/private-messages/recent/1"), [])
      assert.deepStrictEqual(yield* recentOf("/private-messages/recent/2"), [])
      const { body } = yield* send("POST", "/flush")
      assert.deepInclude(body.public, { persisted: 0, deleted: 1 })
      assert.deepInclude(body.private, { persisted: 0, deleted: 1 })
    }),
  )

  test(
    "answer 400 to what is no id, and 405 names each method once",
    Effect.gen(function* () {
      for (const path of ["/messages/17", "/private-messages/x%2Fy", "/messages/recent"]) {
        const { status, body } = yield* send("DELETE", path)
        assert.strictEqual(status, 400)
        assert.strictEqual(body._tag, "InvalidMessageId")
        assert.strictEqual(body.problems[0].field, "message_id")
      }
      const { status, headers } = yield* send("PUT", "/private-messages/recent")
      assert.strictEqual(status, 405)
      assert.strictEqual(headers["allow"], "DELETE, GET")
    }),
  )

  test(
    "answer 503 when PostgreSQL is away, and nothing has changed",
    Effect.gen(function* () {
      const { body: accepted } = yield* send("POST", "/messages", { json: publicDraft() })
      yield* (yield* StoreFaults).set({ at: "begin", error: outage })
      const { status, body } = yield* send("DELETE", `/messages/${accepted.message_id}`)
      assert.strictEqual(status, 503)
      assert.strictEqual(body._tag, "StoreUnavailable")
      assert.lengthOf(yield* recentOf("/messages/recent"), 1)
    }),
  )

  test(
    "answer 503 when Valkey is away; repeated, the deletion is completed",
    Effect.gen(function* () {
      const path = `/private-messages/${(yield* send("POST", "/private-messages", { json: privateDraft() })).body.message_id}`
      yield* send("POST", "/flush")
      const { cache } = yield* Faults
      yield* Ref.set(
        cache,
        new CacheUnavailable({ operation: "remove message", execution: "refused", reason: "test" }),
      )
      assert.strictEqual((yield* send("DELETE", path)).status, 503)
      yield* Ref.set(cache, Effect.void)
      assert.lengthOf(yield* recentOf("/private-messages/recent/2"), 1)
      assert.strictEqual((yield* send("DELETE", path)).status, 204)
      assert.lengthOf(yield* recentOf("/private-messages/recent/2"), 0)
      // Not only hidden: there is nothing left to drop.
      assert.strictEqual((yield* send("DELETE", "/private-messages/recent")).body.deleted, 0)
    }),
  )
})
