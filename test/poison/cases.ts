/** What must never get through as a message that cannot be stored, nor take anything else with it. */
import type { QuarantineReason } from "../../src/domain/Event.ts"

/** What a door answers to the text as the JSON of a draft. */
type AtTheDoor = "accepted" | "InvalidMessage" | "InvalidJson" | "PayloadTooLarge"

export interface PoisonCase {
  readonly name: string
  /** The JSON text of the message, or what stands in its place. @param id a UUID that nobody else has */
  readonly data: (id: string) => string | Uint8Array
  readonly atTheDoor: AtTheDoor
  /** What becomes of it as the data of an entry in the queue. */
  readonly inTheQueue: "row" | QuarantineReason
}

const message = {
  owner_id: "1",
  username: "eve",
  channel: "general",
  message: "poison",
  authored_at: "2026-03-01T12:00:00Z",
}

const slot = "<slot>"

/** The message with a field that is this JSON text, which need not be one. */
const withJson =
  (field: string, json: string) =>
  (id: string): string =>
    JSON.stringify({ ...message, message_id: id, [field]: slot }).replace(`"${slot}"`, () => json)

const withValue = (field: string, value: unknown) => withJson(field, JSON.stringify(value))

const withBytes =
  (field: string, bytes: ReadonlyArray<number>) =>
  (id: string): Uint8Array => {
    const [before, after] = withValue(field, slot)(id).split(slot) as [string, string]
    return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
  }

const without = (field: string) => (id: string) =>
  JSON.stringify({ ...message, message_id: id, [field]: undefined })

const always = (text: string) => () => text

const refused = (name: string, data: PoisonCase["data"]): PoisonCase => ({
  name,
  data,
  atTheDoor: "InvalidMessage",
  inTheQueue: "wrong_shape",
})

const malformed = (name: string, data: PoisonCase["data"]): PoisonCase => ({
  name,
  data,
  atTheDoor: "InvalidJson",
  inTheQueue: "invalid_json",
})

const notText = (name: string, bytes: ReadonlyArray<number>): PoisonCase => ({
  name,
  data: withBytes("message", bytes),
  atTheDoor: "InvalidJson",
  inTheQueue: "invalid_utf8",
})

/** Looks like poison and is a message. */
const harmless = (name: string, data: PoisonCase["data"]): PoisonCase => ({
  name,
  data,
  atTheDoor: "accepted",
  inTheQueue: "row",
})

/** Our doors are stricter than the table. */
const storable = (
  name: string,
  data: PoisonCase["data"],
  atTheDoor: AtTheDoor = "InvalidMessage",
): PoisonCase => ({ name, data, atTheDoor, inTheQueue: "row" })

const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth)

const texts = ["owner_id", "username", "channel", "message"] as const
const maximums = { owner_id: 36, username: 64, channel: 24 } as const

const notJson: ReadonlyArray<PoisonCase> = [
  malformed("a text that is no JSON", always("not JSON")),
  malformed("single quotes", always("{'owner_id':'1'}")),
  malformed("an object that ends too early", (id) => withValue("message", "x")(id).slice(0, -1)),
  malformed("something after the object", (id) => `${withValue("message", "x")(id)}{}`),
  malformed("NaN", withJson("message", "NaN")),
  malformed("undefined", withJson("message", "undefined")),
  malformed("a number in hexadecimal", withJson("message", "0x10")),
  malformed("a number with a leading zero", withJson("message", "012")),
  malformed("a comment", withJson("message", '/* */ "x"')),
  malformed("a comma too many", (id) => withValue("message", "x")(id).replace(/\}$/, ",}")),
  malformed("U+0000 as it is", withBytes("message", [0x61, 0x00, 0x62])),
  malformed("a line end as it is", withBytes("message", [0x0a])),
  malformed("arrays that are opened 100,000 times", always("[".repeat(100_000))),
  notText("invalid UTF-8", [0xff, 0xfe]),
  notText("a lone surrogate in UTF-8", [0xed, 0xa0, 0x80]),
  notText("a pair of surrogates in UTF-8", [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]),
  notText("an overlong U+0000", [0xc0, 0x80]),
  notText("a character above U+10FFFF", [0xf4, 0x90, 0x80, 0x80]),
  notText("a character that is cut off", [0xf0, 0x9f, 0x98]),
]

const wrongShapes: ReadonlyArray<PoisonCase> = [
  ...["null", "true", "5", '"text"', "[]", "{}", "[[]]", "-0", "1e400"].map((json) =>
    refused(`${json} instead of a message`, always(json)),
  ),
  refused("100,000 arrays in each other instead of a message", always(nested(100_000))),
  ...texts.map((field) => refused(`no ${field}`, without(field))),
  ...texts.flatMap((field) =>
    ["null", "1", "true", "{}", "[]", '["x"]', "9007199254740993", "1e400"].map((json) =>
      refused(`${json} as ${field}`, withJson(field, json)),
    ),
  ),
  refused("100,000 arrays in each other as a text", withJson("message", nested(100_000))),
  refused(
    "what is a message only by its prototype",
    (id) => `{"__proto__":${withValue("message", "x")(id)}}`,
  ),
  harmless("another prototype", withJson("__proto__", '{"isAdmin":true,"message":1}')),
  harmless("another constructor", withJson("constructor", '{"prototype":{"isAdmin":true}}')),
  harmless("another toJSON", withJson("toJSON", '"x"')),
  harmless("a field of no meaning, 10,000 arrays deep", withJson("more", nested(10_000))),
  harmless("a field that occurs twice, the first time wrong", (id) =>
    withValue("message", "x")(id).replace(/^\{/, '{"message":1,'),
  ),
  refused("a field that occurs twice, the second time wrong", (id) =>
    withValue("message", "x")(id).replace(/\}$/, ',"message":1}'),
  ),
]

const unstorableTexts: ReadonlyArray<PoisonCase> = texts.flatMap((field) => [
  refused(`U+0000 in ${field}`, withJson(field, String.raw`"a\u0000b"`)),
  refused(`a lone high surrogate in ${field}`, withJson(field, String.raw`"a\ud800b"`)),
  refused(`a lone low surrogate in ${field}`, withJson(field, String.raw`"\udfff"`)),
  refused(`two surrogates in the wrong order in ${field}`, withJson(field, String.raw`"\ude00\ud83d"`)),
  harmless(`an escaped pair of surrogates in ${field}`, withJson(field, String.raw`"\ud83d\ude00"`)),
  harmless(`noncharacters and controls in ${field}`, withJson(field, String.raw`"\uffff\ufffe\u0001\u007f"`)),
  storable(`an empty ${field}`, withValue(field, "")),
])

const lengths: ReadonlyArray<PoisonCase> = [
  ...Object.entries(maximums).flatMap(([field, maximum]) => [
    refused(`${maximum + 1} characters for ${field}`, withValue(field, "x".repeat(maximum + 1))),
    refused(`${maximum + 1} emoji for ${field}`, withValue(field, "😀".repeat(maximum + 1))),
    refused(`${maximum} characters and a space for ${field}`, withValue(field, `${"x".repeat(maximum)} `)),
    harmless(`${maximum} emoji for ${field}`, withValue(field, "😀".repeat(maximum))),
  ]),
  harmless("a message of 64 KiB", withValue("message", "x".repeat(64 * 1024))),
  storable("a message of one byte more", withValue("message", "x".repeat(64 * 1024 + 1))),
  storable("a message of 64 KiB of units, and more in UTF-8", withValue("message", "é".repeat(40_000))),
  storable("a message of 10 MB", withValue("message", "x".repeat(10_000_000)), "PayloadTooLarge"),
]

const times: ReadonlyArray<PoisonCase> = [
  ...[
    "now",
    "infinity",
    "-infinity",
    "epoch",
    "yesterday",
    "02/03/2026",
    "2026-03-01",
    "2026-03-01T12:00:00",
    "2026-03-01 12:00:00Z",
    "2026-03-01T24:00:00Z",
    "2026-03-01T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "-000001-01-01T00:00:00Z",
    "+275760-09-13T00:00:00Z",
    "300000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "2026-03-01T12:00:00+16:00",
    "2026-03-01T12:00:00+00:60",
    "2026-03-01T12:00:00.1234567890Z",
    "2026-03-01T12:00:00Z ",
    "٢٠٢٦-٠٣-٠١T12:00:00Z",
    "1772366400000",
    "",
  ].map((time) => refused(`${JSON.stringify(time)} as a time`, withValue("authored_at", time))),
  ...["1772366400000", "null", "{}", "[]", "true"].map((json) =>
    refused(`${json} as a time`, withJson("authored_at", json)),
  ),
  harmless(
    "a time in nanoseconds and lower case",
    withValue("authored_at", "2024-02-29t23:59:59.123456789-15:59"),
  ),
]

const ids: ReadonlyArray<PoisonCase> = [
  ...[
    "",
    "1",
    "not-a-uuid",
    "{6f9619ff-8b86-4d11-b42d-00c04fc964ff}",
    "urn:uuid:6f9619ff-8b86-4d11-b42d-00c04fc964ff",
    "6f9619ff8b864d11b42d00c04fc964ff",
    "6f9619ff-8b86-4d11-b42d-00c04fc964f",
    "6f9619ff-8b86-4d11-b42d-00c04fc964fff",
    "6f9619ff-8b86-4d11-b42d-00c04fc964fg",
    " 6f9619ff-8b86-4d11-b42d-00c04fc964ff",
    "'); DROP TABLE chat_messages; --",
  ].map((id) => refused(`${JSON.stringify(id)} as message_id`, withValue("message_id", id))),
  ...["null", "7", "{}", "[]"].map((json) => refused(`${json} as message_id`, withJson("message_id", json))),
  harmless("a message_id in upper case", (id) => withValue("message_id", id.toUpperCase())(id)),
]

export const poisonCases: ReadonlyArray<PoisonCase> = [
  ...notJson,
  ...wrongShapes,
  ...unstorableTexts,
  ...lengths,
  ...times,
  ...ids,
]

export interface EntryCase {
  readonly name: string
  /** The whole entry. @param data the JSON text of a message that is in order */
  readonly entry: (data: string) => string | Uint8Array
  readonly inTheQueue: PoisonCase["inTheQueue"]
}

const entryCase = (
  name: string,
  inTheQueue: EntryCase["inTheQueue"],
  entry: EntryCase["entry"],
): EntryCase => ({ name, inTheQueue, entry })

const cacheId = (json: string, inTheQueue: EntryCase["inTheQueue"] = "wrong_shape") =>
  entryCase(`${json} as cache_id`, inTheQueue, (data) => `{"cache_id":${json},"data":${data}}`)

/** What only a hand that writes to the queue can do. */
export const entryCases: ReadonlyArray<EntryCase> = [
  ...['"7"', '" 7 "', '"0x10"', '"1_000"', "1.5", "-1", "null", "true", "[]", "{}"].map((json) =>
    cacheId(json),
  ),
  ...["9007199254740992", "9007199254740993", "123456789012345678901234567890", "1e400", "-1e400"].map(
    (json) => cacheId(json),
  ),
  ...["0x10", "1_000", "012", "+1", ".5", "Infinity"].map((json) => cacheId(json, "invalid_json")),
  ...["0", "-0", "7.0", "1e3", "9007199254740991"].map((json) => cacheId(json, "row")),
  entryCase("no bytes at all", "invalid_json", () => ""),
  entryCase("spaces", "invalid_json", () => "   "),
  entryCase("one byte of zero", "invalid_json", () => Uint8Array.of(0)),
  entryCase(
    "a byte order mark before the entry",
    "invalid_json",
    (data) => `\ufeff{"cache_id":1,"data":${data}}`,
  ),
  entryCase("UTF-16", "invalid_utf8", (data) =>
    Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(data, "utf16le")]),
  ),
  entryCase("a message without a frame", "wrong_shape", (data) => data),
  entryCase("a frame without a message", "wrong_shape", () => '{"cache_id":1}'),
  entryCase("a message without a cache_id", "wrong_shape", (data) => `{"data":${data}}`),
  entryCase(
    "the message as a text",
    "wrong_shape",
    (data) => `{"cache_id":1,"data":${JSON.stringify(data)}}`,
  ),
  entryCase("an array of the two", "wrong_shape", (data) => `[1,${data}]`),
  entryCase(
    "two entries in one",
    "invalid_json",
    (data) => `{"cache_id":1,"data":${data}},{"cache_id":2,"data":${data}}`,
  ),
  entryCase(
    "the frame in another order, with spaces",
    "row",
    (data) => ` { "data" : ${data} ,\n"cache_id" : 1 } `,
  ),
  entryCase(
    "a frame with more in it",
    "row",
    (data) => `{"cache_id":1,"__proto__":{"data":null},"data":${data},"more":[]}`,
  ),
  entryCase(
    "data that occurs twice, the second time wrong",
    "wrong_shape",
    (data) => `{"cache_id":1,"data":${data},"data":null}`,
  ),
]

class Draft {
  readonly owner_id = 1
}

/** What only a program can give to the library. */
export const values: ReadonlyArray<{ readonly name: string; readonly value: unknown }> = [
  { name: "undefined", value: undefined },
  { name: "a function", value: () => message },
  { name: "a symbol", value: Symbol("message") },
  { name: "a bigint", value: 10n ** 40n },
  { name: "NaN", value: Number.NaN },
  { name: "bytes", value: Uint8Array.of(1, 2, 3) },
  { name: "a map", value: new Map(Object.entries(message)) },
  { name: "an instance with other fields", value: new Draft() },
  { name: "an array with the fields", value: Object.assign([], { ...message, message: 1 }) },
  { name: "a boxed text", value: { ...message, message: new String("x") } },
  { name: "a bigint as a text", value: { ...message, owner_id: 1n } },
  { name: "a symbol as a text", value: { ...message, channel: Symbol("x") } },
  { name: "a date as a time", value: { ...message, authored_at: new Date(0) } },
  { name: "undefined as message_id", value: { ...message, message_id: undefined } },
  {
    name: "itself as a text",
    value: (() => {
      const circular: Record<string, unknown> = { ...message }
      circular["message"] = circular
      return circular
    })(),
  },
  {
    name: "a field that throws",
    value: {
      ...message,
      get channel(): string {
        throw new Error("do not read this")
      },
    },
  },
  {
    name: "a proxy that throws",
    value: new Proxy(message, {
      get: () => {
        throw new Error("do not read this")
      },
    }),
  },
  {
    name: "a proxy that was revoked",
    value: (() => {
      const { proxy, revoke } = Proxy.revocable({ ...message }, {})
      revoke()
      return proxy
    })(),
  },
]
