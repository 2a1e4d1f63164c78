import { assert, describe } from "@effect/vitest"
import { Effect, Ref } from "effect"
import { CacheUnavailable, StoreMisconfigured, StoreUnavailable } from "../../src/domain/Errors.ts"
import { send } from "./client.ts"
import { Faults, privateDraft, publicDraft, test } from "./TestServer.ts"

const texts = (body: { readonly messages: ReadonlyArray<{ readonly message: string }> }) =>
  body.messages.map(({ message }) => message)

const publish = (path: string, drafts: ReadonlyArray<object>) =>
  send("POST", `${path}/batch`, { json: { messages: drafts } })

const routes = ["/messages", "/private-messages/1"]

const notACursor =
  "is not a cursor: take `previous` or `next` of a page, or <cache_id>.<message_id> of a message"

const id = "00000000-0000-7000-8000-000000000001"

describe("GET /messages and /private-messages/:user_id", () => {
  test(
    "answer page after page in both directions, over what is stored and what is queued",
    Effect.gen(function* () {
      const numbers = ["1", "2", "3", "4", "5", "6", "7"]
      yield* publish(
        "/messages",
        numbers.slice(0, 4).map((message) => publicDraft({ message })),
      )
      yield* publish(
        "/private-messages",
        numbers.slice(0, 4).map((message) => privateDraft({ message })),
      )
      yield* send("POST", "/flush")
      yield* publish(
        "/messages",
        numbers.slice(4).map((message) => publicDraft({ message })),
      )
      yield* publish(
        "/private-messages",
        numbers.slice(4).map((message) => privateDraft({ message, owner_id: "2", recipient_id: "1" })),
      )
      for (const path of routes) {
        const newest = yield* send("GET", `${path}?limit=3`)
        assert.strictEqual(newest.status, 200)
        assert.strictEqual(newest.headers["cache-control"], "no-store")
        assert.deepStrictEqual(texts(newest.body), ["5", "6", "7"])
        assert.isUndefined(newest.body.next)
        const older = yield* send("GET", `${path}?limit=3&before=${newest.body.previous}`)
        assert.deepStrictEqual(texts(older.body), ["2", "3", "4"])
        const oldest = yield* send("GET", `${path}?before=${older.body.previous}`)
        assert.deepStrictEqual(texts(oldest.body), ["1"])
        assert.isUndefined(oldest.body.previous)
        const newer = yield* send("GET", `${path}?limit=4&after=${oldest.body.next}`)
        assert.deepStrictEqual(texts(newer.body), ["2", "3", "4", "5"])
        const last = newest.body.messages[2]
        const none = yield* send("GET", `${path}?after=${last.cache_id}.${last.message_id}`)
        assert.deepStrictEqual(texts(none.body), [])
        assert.isUndefined(none.body.next)
      }
    }),
  )

  test(
    "answer what concerns one channel, or one user, whatever they are called",
    Effect.gen(function* () {
      const names = ["a/b", "a;b", "a?b#c", "..", "%", "%2F", "a b+c", "{}", "*", "a\r\nb", "😀"]
      yield* publish(
        "/messages",
        names.map((channel) => publicDraft({ channel, message: `in ${channel}` })),
      )
      yield* publish(
        "/private-messages",
        names.map((recipient_id) => privateDraft({ recipient_id, message: `to ${recipient_id}` })),
      )
      for (const flushed of [false, true]) {
        if (flushed) yield* send("POST", "/flush")
        for (const name of names) {
          const encoded = encodeURIComponent(name)
          for (const path of ["/messages", "/messages/recent"]) {
            assert.deepStrictEqual(texts((yield* send("GET", `${path}?channel=${encoded}`)).body), [
              `in ${name}`,
            ])
          }
          if (name === "..") continue
          assert.deepStrictEqual(texts((yield* send("GET", `/private-messages/${encoded}`)).body), [
            `to ${name}`,
          ])
        }
      }
      for (const path of ["/messages?channel=x", "/messages?channel=%00", "/private-messages/%00"]) {
        assert.deepStrictEqual((yield* send("GET", path)).body, { messages: [] })
      }
    }),
  )

  for (const [query, field, problem] of [
    ["before=", "before", notACursor],
    ["before=12", "before", notACursor],
    ["after=x", "after", notACursor],
    [`after=-1.${id}`, "after", notACursor],
    [`after=9007199254740993.${id}`, "after", notACursor],
    [`before=1.${id}'--`, "before", notACursor],
    [`before=1.${id}&after=1.${id}`, "after", "cannot be combined with before: give one of the two"],
  ] as const) {
    test(
      `refuse ${query} and say what to do`,
      Effect.gen(function* () {
        for (const path of routes) {
          const { status, body } = yield* send("GET", `${path}?${query}`)
          assert.strictEqual(status, 400)
          assert.strictEqual(body._tag, "InvalidHistoryQuery")
          assert.deepStrictEqual(body.problems, [{ field, problem }])
        }
      }),
    )
  }

  for (const [query, field, problem] of [
    ["limit=0", "limit", "must be one integer, from 1 to 1000"],
    ["limit=1001", "limit", "must be one integer, from 1 to 1000"],
    ["limit=ten", "limit", "must be one integer, from 1 to 1000"],
    [`before=1.${id}&before=2.${id}`, "before", "must be given once"],
  ] as const) {
    test(
      `refuse ${query} as a request`,
      Effect.gen(function* () {
        for (const path of routes) {
          const { status, body } = yield* send("GET", `${path}?${query}`)
          assert.strictEqual(status, 400)
          assert.strictEqual(body._tag, "InvalidRequest")
          assert.deepStrictEqual(body.problems, [{ field, problem }])
        }
      }),
    )
  }

  test(
    "refuse a channel without a name",
    Effect.gen(function* () {
      for (const path of ["/messages", "/messages/recent"]) {
        for (const query of ["channel=", "channel=a&channel=b"]) {
          const { status, body } = yield* send("GET", `${path}?${query}`)
          assert.strictEqual(status, 400)
          assert.deepStrictEqual(body.problems, [
            { field: "channel", problem: "must be one name that is not empty" },
          ])
        }
      }
    }),
  )

  test(
    "answer 503 when the store is needed and away, and go on with what is queued",
    Effect.gen(function* () {
      const { reads } = yield* Faults
      for (const error of [
        new StoreUnavailable({ operation: "history", reason: "test", sqlstate: null }),
        new StoreMisconfigured({ operation: "history", reason: "test", sqlstate: "42P01" }),
      ]) {
        yield* Ref.set(reads, error)
        for (const path of routes) {
          const { status, body } = yield* send("GET", path)
          assert.strictEqual(status, 503)
          assert.strictEqual(body._tag, error._tag)
        }
      }
      yield* publish(
        "/messages",
        ["a", "b", "c"].map((message) => publicDraft({ message })),
      )
      assert.deepStrictEqual(texts((yield* send("GET", "/messages?limit=2")).body), ["b", "c"])
      assert.deepStrictEqual(texts((yield* send("GET", "/messages/recent?channel=general")).body), [
        "a",
        "b",
        "c",
      ])
      assert.strictEqual((yield* send("GET", "/messages?limit=3")).status, 503)
    }),
  )
})

test(
  "the channel's recent messages answer 503 when Valkey is away",
  Effect.gen(function* () {
    const { cache } = yield* Faults
    yield* Ref.set(cache, new CacheUnavailable({ operation: "recent", execution: "refused", reason: "test" }))
    const { status, body } = yield* send("GET", "/messages/recent?channel=general")
    assert.strictEqual(status, 503)
    assert.strictEqual(body._tag, "CacheUnavailable")
  }),
)
