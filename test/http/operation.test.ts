import { assert, describe } from "@effect/vitest"
import { Effect, Ref } from "effect"
import { CacheUnavailable, StoreMisconfigured } from "../../src/domain/Errors.ts"
import { outage, StoreFaults } from "../support/FaultyStore.ts"
import { send } from "./client.ts"
import { Faults, privateDraft, publicDraft, test } from "./TestServer.ts"

const misconfigured = new StoreMisconfigured({
  operation: "test",
  reason: 'relation "chat_messages" does not exist',
  sqlstate: "42P01",
})

const keysOf = (value: unknown): ReadonlyArray<string> =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => [key, ...keysOf(inner)])
    : []

const publish = (count: number) =>
  send("POST", "/messages/batch", { json: { messages: Array(count).fill(publicDraft()) } })

describe("POST /flush", () => {
  test(
    "says what became of both queues",
    Effect.gen(function* () {
      yield* publish(3)
      yield* send("POST", "/private-messages", { json: privateDraft() })
      const { status, body } = yield* send("POST", "/flush")
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(body, {
        public: { persisted: 3, duplicates: 0, quarantined: 0, deleted: 0, remaining: 0 },
        private: { persisted: 1, duplicates: 0, quarantined: 0, deleted: 0, remaining: 0 },
      })
    }),
  )

  for (const [error, retryAfter] of [
    [outage, "5"],
    [misconfigured, "30"],
  ] as const) {
    test(
      `answers 503 with ${error._tag}, and the messages stay queued`,
      Effect.gen(function* () {
        yield* publish(1)
        yield* (yield* StoreFaults).set({ at: "begin", error })
        const { status, body, headers } = yield* send("POST", "/flush")
        assert.strictEqual(status, 503)
        assert.strictEqual(body._tag, error._tag)
        assert.strictEqual(body.sqlstate, error.sqlstate)
        assert.strictEqual(headers["retry-after"], retryAfter)
        assert.strictEqual((yield* send("GET", "/status")).body.queues.public.length, 1)
      }),
    )
  }

  test(
    "answers 503 with SchemaSuspected when PostgreSQL refuses most of a batch",
    Effect.gen(function* () {
      yield* publish(20)
      yield* (yield* StoreFaults).refuseRows(() => true)
      const { status, body, headers } = yield* send("POST", "/flush")
      assert.strictEqual(status, 503)
      assert.strictEqual(body._tag, "SchemaSuspected")
      assert.strictEqual(body.rows, 20)
      assert.strictEqual(headers["retry-after"], "30")
    }),
  )
})

describe("/rate-limit", () => {
  test(
    "is shown and changed, and the change holds from the next message on",
    Effect.gen(function* () {
      const before = yield* send("GET", "/rate-limit")
      assert.deepStrictEqual(before.body, { message_limit: 1_000_000, window_seconds: 60 })
      const settings = { message_limit: 1, window_seconds: 20 }
      const changed = yield* send("PUT", "/rate-limit", { json: settings })
      assert.strictEqual(changed.status, 200)
      assert.deepStrictEqual(changed.body, settings)
      assert.deepStrictEqual((yield* send("GET", "/rate-limit")).body, settings)
      const { body } = yield* publish(2)
      assert.deepStrictEqual(
        body.results.map(({ status }: { status: string }) => status),
        ["accepted", "rate_limited"],
      )
    }),
  )

  for (const [json, fields] of [
    [{}, ["message_limit", "window_seconds"]],
    [null, [""]],
    [{ message_limit: 0, window_seconds: 1.5 }, ["message_limit", "window_seconds"]],
    [{ message_limit: "5", window_seconds: 60 }, ["message_limit"]],
    [{ message_limit: 5, window_seconds: 31_536_001 }, ["window_seconds"]],
  ] as const) {
    test(
      `refuses ${JSON.stringify(json)}`,
      Effect.gen(function* () {
        const { status, body } = yield* send("PUT", "/rate-limit", { json })
        assert.strictEqual(status, 400)
        assert.strictEqual(body._tag, "InvalidRateLimitSettings")
        assert.deepStrictEqual(
          body.problems.map(({ field }: { field: string }) => field),
          fields,
        )
      }),
    )
  }

  test(
    "answers 503 when the change cannot be recorded",
    Effect.gen(function* () {
      yield* (yield* StoreFaults).set({ at: "begin", error: outage })
      const { status, body } = yield* send("PUT", "/rate-limit", {
        json: { message_limit: 1, window_seconds: 20 },
      })
      assert.strictEqual(status, 503)
      assert.strictEqual(body._tag, "StoreUnavailable")
    }),
  )
})

test(
  "GET /status tells everything in snake_case",
  Effect.gen(function* () {
    yield* publish(2)
    yield* send("POST", "/flush")
    yield* publish(1)
    const { status, body } = yield* send("GET", "/status")
    assert.strictEqual(status, 200)
    assert.strictEqual(body.status, "ok")
    assert.strictEqual(body.queues.public.length, 1)
    assert.isAtLeast(body.queues.public.oldest_age_ms, 0)
    const { duration_ms, ...lastBatch } = body.queues.public.last_batch
    assert.isAtLeast(duration_ms, 0)
    assert.deepStrictEqual(lastBatch, {
      trigger: "request",
      first_cache_id: 1,
      last_cache_id: 2,
      persisted: 2,
      duplicates: 0,
      quarantined: 0,
      deleted: 0,
    })
    assert.strictEqual(body.settings.max_cache_size, 500)
    assert.strictEqual(body.settings.flush_interval_ms, 120_000)
    assert.deepStrictEqual(
      keysOf(body).filter((key) => /[A-Z]/.test(key)),
      [],
    )
  }),
)

test(
  "GET /status tells what keeps a queue from being flushed",
  Effect.gen(function* () {
    yield* publish(1)
    yield* (yield* StoreFaults).set({ at: "begin", error: outage })
    yield* send("POST", "/flush")
    const { body } = yield* send("GET", "/status")
    assert.strictEqual(body.status, "degraded")
    assert.strictEqual(body.queues.public.problem.attempts, 1)
    assert.include(body.queues.public.problem.reason, "ECONNREFUSED")
    assert.strictEqual(body.queues.private.problem, null)
  }),
)

test(
  "GET /status shows what became of every message of a queue",
  Effect.gen(function* () {
    yield* publish(2)
    yield* send("POST", "/flush")
    yield* publish(1)
    const { body } = yield* send("GET", "/status")
    assert.deepStrictEqual(body.queues.public.books, {
      accepted: 3,
      stored: 2,
      duplicates: 0,
      deleted: 0,
      quarantine: { open: 0, replayed: 0, discarded: 0 },
      foreign: 0,
      queued: 1,
      lost: 0,
      balanced: true,
      difference: null,
    })
  }),
)

describe("GET /audit", () => {
  test(
    "recounts the books, and names what it found",
    Effect.gen(function* () {
      const message_id = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"
      yield* send("POST", "/messages", { json: publicDraft({ message_id }) })
      yield* send("POST", "/flush")
      yield* send("POST", "/messages", { json: publicDraft({ message_id }) })
      const { status, body } = yield* send("GET", "/audit")
      assert.strictEqual(status, 200)
      const { duration_ms, journal_position, findings, ...counts } = body
      assert.isAtLeast(duration_ms, 0)
      assert.isAtLeast(journal_position, 1)
      assert.lengthOf(findings, 1)
      assert.deepInclude(findings[0], {
        severity: "notice",
        check: "queued-and-stored",
        queue: "public",
        count: 1,
        examples: [`message_id ${message_id} (cache_id 2)`],
      })
      const none = { open: 0, replayed: 0, discarded: 0 }
      assert.deepStrictEqual(counts, {
        consistent: true,
        queues: {
          public: { rows: 1, rows_journalled: 1, quarantine: none, queued: 1 },
          private: { rows: 0, rows_journalled: 0, quarantine: none, queued: 0 },
        },
      })
    }),
  )

  test(
    "answers 503 when a server cannot be asked",
    Effect.gen(function* () {
      const { cache } = yield* Faults
      yield* Ref.set(
        cache,
        new CacheUnavailable({ operation: "sample recent", execution: "refused", reason: "test" }),
      )
      const { status, body } = yield* send("GET", "/audit")
      assert.strictEqual(status, 503)
      assert.strictEqual(body._tag, "CacheUnavailable")
    }),
  )
})

describe("/health", () => {
  test(
    "is ok when it is",
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* send("GET", "/health/live")).body, { status: "ok" })
      const { status, body } = yield* send("GET", "/health/ready")
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(body, { status: "ok", problems: [] })
    }),
  )

  test(
    "is degraded while messages are taken that cannot be stored",
    Effect.gen(function* () {
      yield* publish(1)
      yield* (yield* StoreFaults).set({ at: "begin", error: outage })
      yield* send("POST", "/flush")
      const { status, body } = yield* send("GET", "/health/ready")
      assert.strictEqual(status, 200)
      assert.strictEqual(body.status, "degraded")
      assert.lengthOf(body.problems, 1)
    }),
  )

  test(
    "is unavailable while messages cannot be taken, and lives all the same",
    Effect.gen(function* () {
      const { cache } = yield* Faults
      yield* Ref.set(
        cache,
        new CacheUnavailable({ operation: "publish", execution: "refused", reason: "test" }),
      )
      const { status, body } = yield* send("GET", "/health/ready")
      assert.strictEqual(status, 503)
      assert.strictEqual(body.status, "unavailable")
      assert.isNotEmpty(body.problems)
      assert.strictEqual((yield* send("GET", "/health/live")).status, 200)
      assert.strictEqual((yield* send("GET", "/status")).body.status, "unavailable")
    }),
  )
})
