import { assert, describe } from "@effect/vitest"
import { Effect, Ref, Runtime } from "effect"
import * as fc from "fast-check"
import { CacheUnavailable } from "../../src/domain/Errors.ts"
import * as arbitraries from "../support/arbitraries.ts"
import { send } from "./client.ts"
import { Faults, privateDraft, publicDraft, test } from "./TestServer.ts"

const texts = (messages: ReadonlyArray<{ readonly message: string }>) =>
  messages.map(({ message }) => message)

const publish = (path: string, drafts: ReadonlyArray<object>) =>
  send("POST", `${path}/batch`, { json: { messages: drafts } })

describe("GET …/recent", () => {
  test(
    "shows the newest messages, oldest first, at most as many as asked for",
    Effect.gen(function* () {
      yield* publish(
        "/messages",
        ["a", "b", "c"].map((message) => publicDraft({ message })),
      )
      for (const [query, expected] of [
        ["", ["a", "b", "c"]],
        ["?limit=1", ["c"]],
        ["?limit=2", ["b", "c"]],
        ["?limit=1000000", ["a", "b", "c"]],
        ["?other=1", ["a", "b", "c"]],
      ] as const) {
        const { status, body } = yield* send("GET", `/messages/recent${query}`)
        assert.strictEqual(status, 200)
        assert.deepStrictEqual(texts(body.messages), [...expected])
      }
      yield* publish(
        "/private-messages",
        ["d", "e"].map((message) => privateDraft({ message })),
      )
      assert.deepStrictEqual(
        texts((yield* send("GET", "/private-messages/recent/2?limit=1")).body.messages),
        ["e"],
      )
      assert.deepStrictEqual((yield* send("GET", "/private-messages/recent/3")).body, { messages: [] })
    }),
  )

  for (const query of [
    "limit=0",
    "limit=-1",
    "limit=1.5",
    "limit=x",
    "limit=",
    "limit=1e3",
    "limit=1&limit=2",
  ]) {
    test(
      `refuses ${query}`,
      Effect.gen(function* () {
        for (const path of ["/messages/recent", "/private-messages/recent/1"]) {
          const { status, body } = yield* send("GET", `${path}?${query}`)
          assert.strictEqual(status, 400)
          assert.strictEqual(body._tag, "InvalidRequest")
          assert.deepStrictEqual(body.problems, [
            { field: "limit", problem: "must be one integer, 1 or greater" },
          ])
        }
      }),
    )
  }

  test(
    "is not kept by caches on the way",
    Effect.gen(function* () {
      assert.strictEqual((yield* send("GET", "/messages/recent")).headers["cache-control"], "no-store")
    }),
  )
})

describe("DELETE /private-messages/recent…", () => {
  test(
    "drops the cache of one user, or of all, and nothing else",
    Effect.gen(function* () {
      yield* publish("/messages", [publicDraft()])
      yield* publish("/private-messages", [privateDraft(), privateDraft({ owner_id: "3" })])
      const one = yield* send("DELETE", "/private-messages/recent/1")
      assert.strictEqual(one.status, 200)
      assert.deepStrictEqual(one.body, { deleted: 1 })
      assert.deepStrictEqual((yield* send("GET", "/private-messages/recent/1")).body.messages, [])
      assert.lengthOf((yield* send("GET", "/private-messages/recent/2")).body.messages, 2)
      assert.deepStrictEqual((yield* send("DELETE", "/private-messages/recent/1")).body, { deleted: 0 })
      assert.deepStrictEqual((yield* send("DELETE", "/private-messages/recent")).body, { deleted: 2 })
      assert.lengthOf((yield* send("GET", "/messages/recent")).body.messages, 1)
      assert.strictEqual((yield* send("POST", "/flush")).body.private.persisted, 2)
    }),
  )

  test(
    "takes an empty user id for a mistake, not for all users",
    Effect.gen(function* () {
      yield* publish("/private-messages", [privateDraft()])
      for (const path of [
        "/private-messages/recent/",
        "/private-messages/recent/?",
        "/private-messages/recent//",
      ]) {
        const { status } = yield* send("DELETE", path)
        assert.oneOf(status, [400, 404])
      }
      const { body } = yield* send("DELETE", "/private-messages/recent/")
      assert.deepStrictEqual(body.problems, [{ field: "user_id", problem: "must not be empty" }])
      assert.lengthOf((yield* send("GET", "/private-messages/recent/1")).body.messages, 1)
    }),
  )
})

describe("the user id in a path", () => {
  test(
    "is any text, percent-encoded",
    Effect.gen(function* () {
      const runtime = yield* Effect.runtime<Effect.Effect.Context<ReturnType<typeof send>>>()
      const roundTrip = (userId: string) =>
        Effect.gen(function* () {
          const accepted = yield* send("POST", "/private-messages", {
            json: privateDraft({ recipient_id: userId }),
          })
          const path = `/private-messages/recent/${encodeURIComponent(userId)}`
          const { body } = yield* send("GET", `${path}?limit=1`)
          assert.strictEqual(body.messages[0].cache_id, accepted.body.cache_id)
          assert.deepStrictEqual((yield* send("DELETE", path)).body, { deleted: 1 })
        })
      const examples = ["a/b", "a;b", "a?b#c", "..", "%", "%2F", "%25", "a b+c", "batch", "😀".repeat(36)]
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(arbitraries.storableText(36, 1), (userId) =>
            Runtime.runPromise(runtime)(roundTrip(userId)),
          ),
          { examples: examples.map((example) => [example] as [string]) },
        ),
      )
    }),
  )

  test(
    "may hold a semicolon as it is, which begins no query",
    Effect.gen(function* () {
      yield* publish("/private-messages", [
        privateDraft({ recipient_id: "a;b" }),
        privateDraft({ recipient_id: "a" }),
      ])
      const { body } = yield* send("GET", "/private-messages/recent/a;b?limit=5")
      assert.deepStrictEqual(
        body.messages.map((message: { recipient_id: string }) => message.recipient_id),
        ["a;b"],
      )
      assert.strictEqual((yield* send("DELETE", "/private-messages/recent;1")).body._tag, "InvalidMessageId")
    }),
  )

  test(
    "is refused when its percent-encoding is broken",
    Effect.gen(function* () {
      for (const path of ["%", "%2", "%ff", "%zz", "%c0%80"]) {
        const { status, body } = yield* send("GET", `/private-messages/recent/${path}`)
        assert.strictEqual(status, 400)
        assert.strictEqual(body._tag, "InvalidRequest")
      }
    }),
  )
})

test(
  "the routes of the caches answer 503 when Valkey is away",
  Effect.gen(function* () {
    const { cache } = yield* Faults
    yield* Ref.set(cache, new CacheUnavailable({ operation: "recent", execution: "refused", reason: "test" }))
    for (const [method, path] of [
      ["GET", "/messages/recent"],
      ["GET", "/private-messages/recent/1"],
      ["DELETE", "/private-messages/recent/1"],
      ["DELETE", "/private-messages/recent"],
    ] as const) {
      const { status, body, headers } = yield* send(method, path)
      assert.strictEqual(status, 503)
      assert.strictEqual(body._tag, "CacheUnavailable")
      assert.strictEqual(headers["retry-after"], "1")
    }
  }),
)
