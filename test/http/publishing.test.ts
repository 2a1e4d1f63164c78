import { assert, describe } from "@effect/vitest"
import { Effect, LogLevel, Ref, Runtime, Struct } from "effect"
import * as fc from "fast-check"
import { CacheUnavailable } from "../../src/domain/Errors.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import * as arbitraries from "../support/arbitraries.ts"
import { send, textOf } from "./client.ts"
import { Faults, Log, privateDraft, publicDraft, test } from "./TestServer.ts"

const identity = {
  message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff",
  authored_at: "2026-03-01T12:00:00.123456+02:00",
}

const json = { "content-type": "application/json" }

const unavailable = (execution: "refused" | "unknown") =>
  new CacheUnavailable({ operation: "publish", execution, reason: "test" })

/** From here on the cache fails. */
const failCache = (fault: Effect.Effect<void, CacheUnavailable>) =>
  Effect.flatMap(Faults, ({ cache }) => Ref.set(cache, fault))

const statuses = (results: ReadonlyArray<{ readonly status: string }>) => results.map(({ status }) => status)

describe("POST /messages and /private-messages", () => {
  test(
    "take a message and say where it stands",
    Effect.gen(function* () {
      const first = yield* send("POST", "/messages", { json: publicDraft() })
      assert.strictEqual(first.status, 202)
      assert.strictEqual(first.body.cache_id, 1)
      assert.match(first.body.message_id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
      const second = yield* send("POST", "/messages", { json: publicDraft(identity) })
      assert.deepStrictEqual(second.body, { cache_id: 2, ...identity })
      const { body } = yield* send("GET", "/messages/recent")
      assert.deepStrictEqual(body.messages, [
        { ...publicDraft(), ...first.body },
        { ...publicDraft(), ...second.body },
      ])
    }),
  )

  test(
    "take a private message for both who share it",
    Effect.gen(function* () {
      const { status, body } = yield* send("POST", "/private-messages", { json: privateDraft(identity) })
      assert.strictEqual(status, 202)
      for (const user of ["1", "2"]) {
        const recent = yield* send("GET", `/private-messages/recent/${user}`)
        assert.deepStrictEqual(recent.body.messages, [{ ...privateDraft(), ...body }])
      }
    }),
  )

  test(
    "keep every character, and each message travels in a body of its own",
    Effect.gen(function* () {
      const runtime = yield* Effect.runtime<Effect.Effect.Context<ReturnType<typeof send>>>()
      const roundTrip = (draft: object) =>
        Effect.gen(function* () {
          const { status, body } = yield* send("POST", "/messages", { json: draft })
          assert.strictEqual(status, 202)
          const recent = yield* send("GET", "/messages/recent?limit=1")
          assert.deepStrictEqual(recent.body.messages, [{ ...draft, ...body }])
        })
      const drafts = arbitraries.publicMessageDraft.map(Struct.omit("message_id"))
      yield* Effect.promise(() =>
        fc.assert(fc.asyncProperty(drafts, (draft) => Runtime.runPromise(runtime)(roundTrip(draft)))),
      )
    }),
  )

  test(
    "refuse a message with every field that is wrong, and repeat nothing of it",
    Effect.gen(function* () {
      const secret = "do not repeat this"
      const { status, body } = yield* send("POST", "/messages", {
        json: { owner_id: "", username: 5, message: { secret }, message_id: secret, authored_at: secret },
      })
      assert.strictEqual(status, 400)
      assert.strictEqual(body._tag, "InvalidMessage")
      assert.deepStrictEqual(body.problems.map(({ field }: { field: string }) => field).sort(), [
        "authored_at",
        "channel",
        "message",
        "message_id",
        "owner_id",
        "username",
      ])
      assert.notInclude(textOf(body), secret)
    }),
  )

  for (const body of ["null", "[]", "5", '"text"', "[".repeat(100_000) + "]".repeat(100_000)]) {
    test(
      `refuse ${body.slice(0, 10)}, which is no message`,
      Effect.gen(function* () {
        const answer = yield* send("POST", "/private-messages", { body, headers: json })
        assert.strictEqual(answer.status, 400)
        assert.strictEqual(answer.body._tag, "InvalidMessage")
        assert.deepStrictEqual(answer.body.problems, [{ field: "", problem: "must be an object" }])
      }),
    )
  }

  for (const [reason, body] of [
    ["empty", ""],
    ["malformed", '{"message":"do not repeat this"'],
    ["malformed", "{'message':1}"],
    ["invalid_utf8", Uint8Array.of(0x7b, 0xff, 0x7d)],
  ] as const) {
    test(
      `refuse a body that is ${reason} (${body.length} bytes)`,
      Effect.gen(function* () {
        const answer = yield* send("POST", "/messages", { body, headers: json })
        assert.strictEqual(answer.status, 400)
        assert.strictEqual(answer.body._tag, "InvalidJson")
        assert.strictEqual(answer.body.reason, reason)
        assert.notInclude(textOf(answer.body), "repeat")
      }),
    )
  }

  test(
    "take JSON alone, and only where the request says so",
    Effect.gen(function* () {
      const body = textOf(publicDraft())
      for (const type of [undefined, "text/plain", "application/x-www-form-urlencoded", "text/json"]) {
        const headers = type === undefined ? {} : { "content-type": type }
        const answer = yield* send("POST", "/messages", { body, headers })
        assert.strictEqual(answer.status, 415)
        assert.strictEqual(answer.body._tag, "UnsupportedMediaType")
      }
      const inLatin1 = { "content-type": "application/json; charset=iso-8859-1" }
      assert.strictEqual((yield* send("POST", "/messages", { body, headers: inLatin1 })).status, 415)
      for (const type of [
        "Application/JSON",
        "application/json; charset=UTF-8",
        'application/json;charset="utf-8"',
      ]) {
        const answer = yield* send("POST", "/messages", { body, headers: { "content-type": type } })
        assert.strictEqual(answer.status, 202)
      }
    }),
  )

  test(
    "answer 429 to a user who sends too fast, and say how long to wait",
    Effect.gen(function* () {
      assert.strictEqual((yield* send("POST", "/messages", { json: publicDraft() })).status, 202)
      const { status, body, headers } = yield* send("POST", "/messages", { json: publicDraft() })
      assert.strictEqual(status, 429)
      assert.strictEqual(body._tag, "RateLimited")
      assert.isAtMost(body.retry_after_ms, 30_000)
      assert.strictEqual(headers["retry-after"], String(Math.ceil(body.retry_after_ms / 1000)))
      const other = yield* send("POST", "/messages", { json: publicDraft({ owner_id: "2" }) })
      assert.strictEqual(other.status, 202)
    }),
    { settings: { rateLimit: { message_limit: 1, window_seconds: 30 } } },
  )

  test(
    "answer 503 when the queue is full",
    Effect.gen(function* () {
      yield* send("POST", "/messages", { json: publicDraft() })
      const { status, body, headers } = yield* send("POST", "/messages", { json: publicDraft() })
      assert.strictEqual(status, 503)
      assert.strictEqual(body._tag, "QueueFull")
      assert.strictEqual(body.maximum, 1)
      assert.strictEqual(headers["retry-after"], "5")
    }),
    { settings: { maxQueueLength: 1 } },
  )

  for (const execution of ["refused", "unknown"] as const) {
    test(
      `answer 503 when Valkey is away, and that the execution is ${execution}`,
      Effect.gen(function* () {
        yield* failCache(unavailable(execution))
        const { status, body, headers } = yield* send("POST", "/messages", { json: publicDraft() })
        assert.strictEqual(status, 503)
        assert.strictEqual(body._tag, "CacheUnavailable")
        assert.strictEqual(body.execution, execution)
        assert.strictEqual(headers["retry-after"], "1")
      }),
    )
  }

  test(
    "answer 503 while chat-cache shuts down, when everything else is still answered",
    Effect.gen(function* () {
      yield* send("POST", "/messages", { json: publicDraft() })
      const chat = yield* ChatCache
      yield* chat.shutdown
      for (const path of ["/messages", "/private-messages"]) {
        const { status, body, headers } = yield* send("POST", path, { json: publicDraft() })
        assert.strictEqual(status, 503)
        assert.strictEqual(body._tag, "ShuttingDown")
        assert.strictEqual(headers["retry-after"], "5")
      }
      const flush = yield* send("POST", "/flush")
      assert.strictEqual(flush.body._tag, "ShuttingDown")
      const ready = yield* send("GET", "/health/ready")
      assert.strictEqual(ready.status, 503)
      assert.strictEqual((yield* send("GET", "/health/live")).status, 200)
      assert.lengthOf((yield* send("GET", "/messages/recent")).body.messages, 1)
    }),
  )
})

describe("POST /messages/batch and /private-messages/batch", () => {
  test(
    "answer for each message, in order",
    Effect.gen(function* () {
      const { status, body } = yield* send("POST", "/messages/batch", {
        json: {
          messages: [
            publicDraft(identity),
            publicDraft({ message: "" }),
            "no message",
            publicDraft(),
            publicDraft({ owner_id: "2" }),
          ],
        },
      })
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(statuses(body.results), [
        "accepted",
        "invalid",
        "invalid",
        "rate_limited",
        "accepted",
      ])
      assert.deepStrictEqual(body.results[0], { status: "accepted", cache_id: 1, ...identity })
      assert.deepStrictEqual(body.results[1].error.problems, [
        { field: "message", problem: "must not be empty" },
      ])
      assert.strictEqual(body.results[1].error._tag, "InvalidMessage")
      assert.isAbove(body.results[3].retry_after_ms, 0)
    }),
    { settings: { rateLimit: { message_limit: 1, window_seconds: 30 } } },
  )

  test(
    "take private messages",
    Effect.gen(function* () {
      const messages = [privateDraft(), privateDraft({ recipient_id: "1" })]
      const { body } = yield* send("POST", "/private-messages/batch", { json: { messages } })
      assert.deepStrictEqual(statuses(body.results), ["accepted", "accepted"])
      assert.lengthOf((yield* send("GET", "/private-messages/recent/1")).body.messages, 2)
      assert.lengthOf((yield* send("GET", "/private-messages/recent/2")).body.messages, 1)
    }),
  )

  test(
    "take up to 1000 messages, and also none",
    Effect.gen(function* () {
      const batch = (count: number) =>
        send("POST", "/messages/batch", { json: { messages: Array(count).fill(publicDraft()) } })
      assert.deepStrictEqual((yield* batch(0)).body, { results: [] })
      const full = yield* batch(1000)
      assert.deepStrictEqual(
        full.body.results.map((result: { cache_id: number }) => result.cache_id),
        Array.from({ length: 1000 }, (_, index) => index + 1),
      )
      const tooMany = yield* batch(1001)
      assert.strictEqual(tooMany.status, 400)
      assert.deepStrictEqual(tooMany.body.problems, [
        { field: "messages", problem: "must hold at most 1000 messages" },
      ])
    }),
  )

  for (const [json, problem] of [
    [null, { field: "", problem: "must be an object" }],
    [[], { field: "", problem: "must be an object" }],
    [{}, { field: "messages", problem: "is missing" }],
    [{ messages: "text" }, { field: "messages", problem: "must be an array" }],
  ] as const) {
    test(
      `refuse ${JSON.stringify(json)}, which is no batch`,
      Effect.gen(function* () {
        const { status, body } = yield* send("POST", "/messages/batch", { json })
        assert.strictEqual(status, 400)
        assert.strictEqual(body._tag, "InvalidRequest")
        assert.deepStrictEqual(body.problems, [problem])
      }),
    )
  }

  test(
    "say which message found the queue full",
    Effect.gen(function* () {
      const messages = [publicDraft(), publicDraft()]
      const { status, body } = yield* send("POST", "/messages/batch", { json: { messages } })
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(statuses(body.results), ["accepted", "queue_full"])
      assert.strictEqual(body.results[1].error._tag, "QueueFull")
    }),
    { settings: { maxQueueLength: 1 } },
  )

  test(
    "answer 503 when nothing of the batch was executed",
    Effect.gen(function* () {
      yield* failCache(unavailable("refused"))
      const messages = [publicDraft(), publicDraft()]
      const { status, body, headers } = yield* send("POST", "/messages/batch", { json: { messages } })
      assert.strictEqual(status, 503)
      assert.strictEqual(body.execution, "refused")
      assert.strictEqual(headers["retry-after"], "1")
      const withInvalid = yield* send("POST", "/messages/batch", { json: { messages: [{}, ...messages] } })
      assert.deepStrictEqual(statuses(withInvalid.body.results), ["invalid", "refused", "refused"])
      assert.deepStrictEqual((yield* send("POST", "/messages/batch", { json: { messages: [] } })).status, 200)
      const chat = yield* ChatCache
      yield* failCache(Effect.void)
      yield* chat.shutdown
      const closed = yield* send("POST", "/messages/batch", { json: { messages } })
      assert.strictEqual(closed.status, 503)
      assert.strictEqual(closed.body._tag, "ShuttingDown")
    }),
  )

  test(
    "answer for each message when it is unknown whether they were executed",
    Effect.gen(function* () {
      yield* failCache(unavailable("unknown"))
      const messages = [publicDraft(), publicDraft()]
      const { status, body } = yield* send("POST", "/messages/batch", { json: { messages } })
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(statuses(body.results), ["unknown", "unknown"])
      assert.strictEqual(body.results[0].error._tag, "CacheUnavailable")
    }),
  )
})

describe("the short way to a route and the router", () => {
  const bodies: Readonly<Record<string, { readonly path: string; readonly body: string }>> = {
    "a message": { path: "/messages", body: JSON.stringify(publicDraft(identity)) },
    "a private message": { path: "/private-messages", body: JSON.stringify(privateDraft(identity)) },
    "a message that is wrong": { path: "/messages", body: "{}" },
    "no JSON": { path: "/private-messages", body: "{" },
    nothing: { path: "/messages", body: "" },
    "a batch": {
      path: "/messages/batch",
      body: JSON.stringify({ messages: [publicDraft(identity), {}, publicDraft(identity)] }),
    },
    "a private batch": {
      path: "/private-messages/batch",
      body: JSON.stringify({ messages: [privateDraft(identity)] }),
    },
    "an empty batch": { path: "/messages/batch", body: `{"messages":[]}` },
    "no batch": { path: "/messages/batch", body: "[]" },
    "too much": { path: "/messages", body: `"${"x".repeat(1024 * 1024)}"` },
  }

  for (const [what, { path, body }] of Object.entries(bodies)) {
    test(
      `answer alike: ${what}`,
      Effect.gen(function* () {
        // A query, which no route for publishing has, is left to the router.
        const short = yield* send("POST", path, { headers: json, body })
        const routed = yield* send("POST", `${path}?`, { headers: json, body })
        const comparable = ({ headers: { date: _date, ...headers }, ...answer }: typeof short) => ({
          ...answer,
          headers,
          body: JSON.stringify(answer.body).replaceAll(/"cache_id":\d/g, `"cache_id":0`),
        })
        assert.deepStrictEqual(comparable(short), comparable(routed))
      }),
    )
  }

  test(
    "differ where each request is logged: then the router has them all",
    Effect.gen(function* () {
      yield* send("POST", "/messages", { json: publicDraft() })
      const log = yield* Log
      assert.isTrue(log.some((line) => line.includes("POST /messages 202 in ")))
    }),
    { minimumLogLevel: LogLevel.Debug },
  )
})
