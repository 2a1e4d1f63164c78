import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "fast-check"
import { decodeEntry, encodePayload, type Entry, salvageEntry } from "../../src/domain/Entry.ts"
import {
  anyText,
  cacheId,
  entryOf,
  privateMessage,
  publicMessage,
  queueName,
  undecodableEntry,
} from "../support/arbitraries.ts"

const utf8 = new TextEncoder()

const message = {
  message_id: "0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11",
  owner_id: "u-1",
  username: "Ada",
  channel: "general",
  message: "the secret",
  authored_at: "2026-03-01T12:00:00.000Z",
}
const { message_id: _, ...anonymous } = message
const payload = encodePayload(message)

const withField = (field: string, value: unknown): Entry =>
  entryOf(5, encodePayload({ ...message, [field]: value }))

describe("decodeEntry", () => {
  it.prop("reads a public message as it was said", [cacheId, publicMessage], ([id, said]) => {
    assert.deepStrictEqual(
      decodeEntry("public", entryOf(id, encodePayload(said))),
      Either.right({ cache_id: id, ...said }),
    )
  })

  it.prop("reads a private message as it was said", [cacheId, privateMessage], ([id, said]) => {
    assert.deepStrictEqual(
      decodeEntry("private", entryOf(id, encodePayload(said))),
      Either.right({ cache_id: id, ...said }),
    )
  })

  it("reads an entry that another JSON writer wrote", () => {
    const text = ` {\n "data": {"extra": [1], ${payload.slice(1)},\t"more": null, "cache_id": 5e0 } `
    assert.deepStrictEqual(
      decodeEntry("public", utf8.encode(text)),
      Either.right({ cache_id: 5, ...message }),
    )
  })

  it("reads the last of two equal keys, as JSON.parse and PostgreSQL do", () => {
    const text = `{"cache_id":4,"cache_id":5,"data":{"message":"before",${payload.slice(1)}}`
    assert.deepStrictEqual(
      decodeEntry("public", utf8.encode(text)),
      Either.right({ cache_id: 5, ...message }),
    )
  })

  it("reads a message_id in lower case", () => {
    assert.deepStrictEqual(
      decodeEntry("public", withField("message_id", message.message_id.toUpperCase())),
      Either.right({ cache_id: 5, ...message }),
    )
  })

  it("drops a __proto__ key", () => {
    const decoded = Either.getOrThrow(
      decodeEntry("public", entryOf(5, `{"__proto__":{"admin":true},${payload.slice(1)}`)),
    )
    assert.strictEqual(Object.getPrototypeOf(decoded), Object.prototype)
    assert.deepStrictEqual(Reflect.ownKeys(decoded), ["cache_id", ...Object.keys(message)])
  })

  const nested = (open: string, close: string) => `${open.repeat(100_000)}1${close.repeat(100_000)}`
  const lists = nested("[", "]")
  const objects = nested('{"a":', "}")

  it.each<[name: string, entry: Entry, reason: string, detail: string]>([
    ["a byte that is not UTF-8", Uint8Array.of(0xff), "invalid_utf8", "the bytes are not valid UTF-8"],
    [
      "a character cut in two",
      entryOf(5, payload).with(30, 0xc3),
      "invalid_utf8",
      "the bytes are not valid UTF-8",
    ],
    [
      "an encoded surrogate",
      Uint8Array.of(0xed, 0xa0, 0x80),
      "invalid_utf8",
      "the bytes are not valid UTF-8",
    ],
    ["nothing", new Uint8Array(), "invalid_json", "the text is not JSON"],
    ["no JSON", utf8.encode("the secret"), "invalid_json", "the text is not JSON"],
    ["JSON cut off", entryOf(5, payload).slice(0, -1), "invalid_json", "the text is not JSON"],
    ["two JSON texts", utf8.encode(`${payload}${payload}`), "invalid_json", "the text is not JSON"],
    [
      "JSON after a byte order mark",
      utf8.encode(`\ufeff{"cache_id":5,"data":${payload}}`),
      "invalid_json",
      "the text is not JSON",
    ],
    ["NaN", entryOf("NaN", payload), "invalid_json", "the text is not JSON"],
    ["a raw line feed in a text", entryOf(5, '{"message":"\n"}'), "invalid_json", "the text is not JSON"],
    ["null", utf8.encode("null"), "wrong_shape", "must be an object"],
    ["a number", utf8.encode("5"), "wrong_shape", "must be an object"],
    ["a text", utf8.encode('"the secret"'), "wrong_shape", "must be an object"],
    ["a list", utf8.encode(`[5,${payload}]`), "wrong_shape", "must be an object"],
    ["an empty object", utf8.encode("{}"), "wrong_shape", "cache_id is missing; data is missing"],
    [
      "a payload without its entry",
      utf8.encode(payload),
      "wrong_shape",
      "cache_id is missing; data is missing",
    ],
    ["null as data", entryOf(5, "null"), "wrong_shape", "data must be an object"],
    ["a text as data", entryOf(5, '"the secret"'), "wrong_shape", "data must be an object"],
    ["a list as data", entryOf(5, '["the secret"]'), "wrong_shape", "data must be an object"],
    ["a cache_id in quotes", entryOf('"5"', payload), "wrong_shape", "cache_id must be a number"],
    ["no cache_id", entryOf("null", payload), "wrong_shape", "cache_id must be a number"],
    [
      "a negative cache_id",
      entryOf(-1, payload),
      "wrong_shape",
      "cache_id must be an integer from 0 to 2^53 - 1",
    ],
    [
      "half a cache_id",
      entryOf(0.5, payload),
      "wrong_shape",
      "cache_id must be an integer from 0 to 2^53 - 1",
    ],
    [
      "a cache_id that no double holds",
      entryOf("9007199254740993", payload),
      "wrong_shape",
      "cache_id must be an integer from 0 to 2^53 - 1",
    ],
    [
      "a cache_id that is printed with too few digits",
      entryOf("1e+300", payload),
      "wrong_shape",
      "cache_id must be an integer from 0 to 2^53 - 1",
    ],
    ["a missing text", withField("message", undefined), "wrong_shape", "data.message is missing"],
    ["a null text", withField("message", null), "wrong_shape", "data.message must be a string"],
    [
      "U+0000",
      withField("message", "the secret\u0000"),
      "wrong_shape",
      "data.message must not contain the character U+0000, which PostgreSQL cannot store",
    ],
    [
      "an escaped lone surrogate",
      withField("message", "the secret\ud800"),
      "wrong_shape",
      "data.message must be well-formed Unicode: it contains a lone surrogate",
    ],
    [
      "a channel of 25 characters",
      withField("channel", "x".repeat(25)),
      "wrong_shape",
      "data.channel must be at most 24 characters long",
    ],
    ["a null message_id", withField("message_id", null), "wrong_shape", "data.message_id must be a string"],
    [
      "several problems",
      entryOf("null", encodePayload({ ...message, channel: 5, message: 5 })),
      "wrong_shape",
      "cache_id must be a number; data.channel must be a string; data.message must be a string",
    ],
    ["100,000 lists", utf8.encode(lists), "wrong_shape", "must be an object"],
    ["100,000 objects", utf8.encode(objects), "wrong_shape", "cache_id is missing; data is missing"],
    ["100,000 lists as cache_id", entryOf(lists, payload), "wrong_shape", "cache_id must be a number"],
    ["100,000 lists as data", entryOf(5, lists), "wrong_shape", "data must be an object"],
    [
      "100,000 objects as text",
      entryOf(5, `{"message":${objects},${payload.slice(1, -1).replace(/"message":"[^"]*",/, "")}}`),
      "wrong_shape",
      "data.message must be a string",
    ],
  ])("%s is undecodable", (_, entry, reason, detail) => {
    const error = Either.getOrThrowWith(Either.flip(decodeEntry("public", entry)), () => new Error("decoded"))
    assert.deepStrictEqual([error.reason, error.detail], [reason, detail])
    assert.strictEqual(error.message, `The entry is not a message: ${detail}.`)
  })

  it("an entry of the other queue is undecodable", () => {
    assert.isTrue(Either.isLeft(decodeEntry("private", entryOf(5, payload))))
  })

  it.prop(
    "what is no message is undecodable, in either queue",
    [queueName, undecodableEntry],
    ([queue, entry]) => {
      assert.isTrue(Either.isLeft(decodeEntry(queue, entry)))
    },
  )

  const entryLike = fc.oneof(
    undecodableEntry,
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => utf8.encode(text)),
    fc.tuple(fc.json(), fc.json()).map(([id, data]) => entryOf(id, data)),
    fc
      .tuple(fc.constantFrom(...Object.keys(message)), fc.oneof(anyText, fc.jsonValue()))
      .map(([field, value]) => withField(field, value)),
  )

  it.prop(
    "any bytes are a message or undecodable, and are salvaged without a throw",
    [queueName, entryLike],
    ([queue, entry]) => {
      const decoded = decodeEntry(queue, entry)
      const salvaged = salvageEntry(entry)
      if (Either.isLeft(decoded)) {
        assert.notInclude(decoded.left.detail, "Expected")
        assert.notInclude(decoded.left.detail, "the secret")
      } else {
        assert.strictEqual(decoded.right.cache_id, salvaged.cache_id)
      }
    },
    { fastCheck: { numRuns: 2000 } },
  )
})

describe("decodeEntry of an entry without message_id", () => {
  const idOf = (entry: Entry): string => Either.getOrThrow(decodeEntry("public", entry)).message_id

  it("derives the id from the bytes, the same in every version of this program", () => {
    assert.deepStrictEqual(
      decodeEntry("public", entryOf(5, encodePayload(anonymous))),
      Either.right({ cache_id: 5, ...anonymous, message_id: "ba6dd05a-b4f8-57b2-aa20-039c4c8fd479" }),
    )
  })

  it.prop("derives a UUID of version 5, the same each time", [cacheId, publicMessage], ([id, said]) => {
    const { message_id: _, ...rest } = said
    const entry = entryOf(id, encodePayload(rest))
    assert.match(idOf(entry), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.strictEqual(idOf(entry), idOf(Uint8Array.from(entry)))
  })

  it.prop("derives another id from other bytes", [fc.uniqueArray(cacheId, { minLength: 2 })], ([ids]) => {
    const derived = ids.map((id) => idOf(entryOf(id, encodePayload(anonymous))))
    assert.strictEqual(new Set(derived).size, ids.length)
  })

  it("reads a view into larger bytes by itself alone", () => {
    const entry = entryOf(5, encodePayload(anonymous))
    const view = Buffer.concat([Buffer.of(0xff), entry, Buffer.of(0xff)]).subarray(1, -1)
    assert.strictEqual(idOf(view), idOf(entry))
  })

  it("knows a private one too", () => {
    const { channel: _, ...rest } = anonymous
    const entry = entryOf(5, encodePayload({ ...rest, recipient_id: "u-2", recipient: "Bob" }))
    assert.isTrue(Either.isRight(decodeEntry("private", entry)))
  })

  it("names what else is wrong", () => {
    const error = Either.flip(decodeEntry("public", entryOf(5, "{}"))).pipe(Either.getOrThrow)
    assert.strictEqual(
      error.detail,
      ["owner_id", "username", "channel", "message", "authored_at"]
        .map((field) => `data.${field} is missing`)
        .join("; "),
    )
  })
})

describe("salvageEntry", () => {
  const nothing = { cache_id: undefined, message_id: undefined, authored_at: undefined }
  const { message_id, authored_at } = message

  it.each<[name: string, entry: Entry, salvaged: ReturnType<typeof salvageEntry>]>([
    ["a message", entryOf(5, payload), { cache_id: 5, message_id, authored_at }],
    ["a message that breaks a rule", withField("channel", 5), { cache_id: 5, message_id, authored_at }],
    [
      "a message_id in upper case",
      withField("message_id", message_id.toUpperCase()),
      { cache_id: 5, message_id, authored_at },
    ],
    ["no message_id", withField("message_id", "none"), { cache_id: 5, message_id: undefined, authored_at }],
    ["no time", withField("authored_at", "now"), { cache_id: 5, message_id, authored_at: undefined }],
    ["no cache_id", entryOf("-1", payload), { cache_id: undefined, message_id, authored_at }],
    ["no data", entryOf(5, "null"), { ...nothing, cache_id: 5 }],
    ["no object", utf8.encode("null"), nothing],
    ["no JSON", utf8.encode("{"), nothing],
    ["no UTF-8", Uint8Array.of(0xff), nothing],
    [
      "lists all the way down",
      entryOf("[".repeat(100_000) + "]".repeat(100_000), payload),
      { ...nothing, message_id, authored_at },
    ],
  ])("of %s", (_, entry, salvaged) => {
    assert.deepStrictEqual(salvageEntry(entry), salvaged)
  })
})

it.prop("encodePayload is one line of JSON that says the message", [publicMessage], ([said]) => {
  const text = encodePayload(said)
  assert.deepStrictEqual(JSON.parse(text), said)
  assert.notMatch(text, /[\0\n\r]/)
})
