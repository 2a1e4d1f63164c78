import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Domain from "../../src/domain/Errors.ts"
import { bodyOf, errorAnswers, headersOf, isErrorAnswer, statusOf } from "../../src/http/ErrorAnswers.ts"
import * as Http from "../../src/http/Errors.ts"

const problems = [{ field: "channel", problem: "must not be empty" }]
const store = { operation: "flush", reason: "connect ECONNREFUSED" }

/** Every error that can be answered, with its status and the headers that go with it. */
const table = [
  [new Domain.InvalidMessage({ problems }), 400, {}],
  [new Domain.InvalidHistoryQuery({ problems }), 400, {}],
  [new Domain.InvalidRateLimitSettings({ problems }), 400, {}],
  [new Domain.ReplayRefused({ id: 1, problems }), 400, {}],
  [new Domain.InvalidMessageId({ problems }), 400, {}],
  [new Domain.QuarantineEntryNotFound({ id: 1 }), 404, {}],
  [new Domain.QuarantineEntryResolved({ id: 1, status: "replayed" }), 409, {}],
  [new Domain.RateLimited({ retry_after_ms: 0 }), 429, { "retry-after": "1" }],
  [new Domain.RateLimited({ retry_after_ms: 1000 }), 429, { "retry-after": "1" }],
  [new Domain.RateLimited({ retry_after_ms: 1001 }), 429, { "retry-after": "2" }],
  [new Domain.QueueFull({ queue: "public", maximum: 1 }), 503, { "retry-after": "5" }],
  [
    new Domain.CacheUnavailable({ operation: "publish", execution: "unknown", reason: "timeout" }),
    503,
    { "retry-after": "1" },
  ],
  [new Domain.ShuttingDown(), 503, { "retry-after": "5" }],
  [new Domain.StoreUnavailable({ ...store, sqlstate: null }), 503, { "retry-after": "5" }],
  [new Domain.StoreMisconfigured({ ...store, sqlstate: "42P01" }), 503, { "retry-after": "30" }],
  [new Domain.SchemaSuspected({ queue: "public", rows: 20, sqlstate: null }), 503, { "retry-after": "30" }],
  [new Domain.BooksOutOfBalance({ queue: "public", entries: 2, accounted: 1 }), 500, {}],
  [new Http.InvalidJson({ reason: "malformed" }), 400, {}],
  [new Http.InvalidRequest({ problems }), 400, {}],
  [new Http.Unauthorized(), 401, { "www-authenticate": "Bearer" }],
  [new Http.CrossSiteRequest(), 403, {}],
  [new Http.RouteNotFound(), 404, {}],
  [new Http.MethodNotAllowed({ allowed: ["GET", "PUT"] }), 405, { allow: "GET, PUT" }],
  [new Http.PayloadTooLarge({ maximum_bytes: 1 }), 413, {}],
  [new Http.UnsupportedMediaType(), 415, {}],
  [new Http.MisdirectedRequest(), 421, {}],
  [new Http.TooManyUploads(), 503, { "retry-after": "1" }],
  [new Http.TooManyListeners({ maximum: 1 }), 503, { "retry-after": "30" }],
  [new Http.InternalError(), 500, {}],
] as const

describe("an error", () => {
  for (const [error, status, headers] of table) {
    it(`${error._tag} is answered with ${status}${"retry-after" in headers ? `, to try again after ${headers["retry-after"]} s` : ""}`, () => {
      assert.isTrue(isErrorAnswer(error))
      assert.strictEqual(statusOf(error), status)
      assert.deepStrictEqual(headersOf(error), headers)
      const body = JSON.parse(JSON.stringify(bodyOf(error)))
      assert.deepStrictEqual(Object.keys(body).slice(0, 2), ["_tag", "message"])
      assert.strictEqual(body.message, error.message)
      const decode = Schema.decodeUnknownSync(errorAnswers[error._tag] as Schema.Schema<unknown>, {
        onExcessProperty: "error",
      })
      assert.isObject(decode(body))
    })
  }

  it("is in the table above, whichever can be answered", () => {
    assert.sameMembers(Object.keys(errorAnswers), [...new Set(table.map(([{ _tag }]) => _tag))])
  })

  it("is answered only when it is known", () => {
    for (const other of [
      null,
      "text",
      {},
      new Error("x"),
      { _tag: "toString" },
      new Domain.CounterMissing({ queue: "public" }),
    ]) {
      assert.isFalse(isErrorAnswer(other))
    }
  })
})
