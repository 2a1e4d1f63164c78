/** Messages that are in order, changed in every way in which somebody could get one wrong. */
import * as fc from "fast-check"
import { encodePayload, type Entry } from "../../src/domain/Entry.ts"
import type { QueueName } from "../../src/domain/Message.ts"
import {
  anyText,
  entryOf,
  privateMessage,
  publicMessage,
  storableText,
  timestamp,
} from "../support/arbitraries.ts"

type Fields = Readonly<Record<string, unknown>>

const messages: Readonly<Record<QueueName, fc.Arbitrary<Fields>>> = {
  public: publicMessage as unknown as fc.Arbitrary<Fields>,
  private: privateMessage as unknown as fc.Arbitrary<Fields>,
}

const maximums = {
  public: { owner_id: 36, username: 64, channel: 24 },
  private: { owner_id: 36, username: 64, recipient_id: 36, recipient: 64 },
} as const

const fieldsOf = (queue: QueueName) => [
  ...Object.keys(maximums[queue]),
  "message",
  "message_id",
  "authored_at",
]

/** Also in the way that each of the two may be written. */
const doubtfulTime = fc.oneof(
  timestamp,
  timestamp.map((text) => text.replace(/\d\d/, "99")),
  timestamp.map((text) => text.replace(/[zZ]|[+-]\d\d:\d\d$/, "")),
  timestamp.map((text) => text.replace(/[tT]/, " ")),
  fc.integer().map((millis) => new Date(millis * 100_000).toISOString()),
  fc.constantFrom(
    "now",
    "infinity",
    "-infinity",
    "epoch",
    "",
    "0000-01-01T00:00:00Z",
    "-000001-01-01T00:00:00Z",
    "+275760-09-13T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-03-01T24:00:00Z",
    "2026-03-01T23:59:60Z",
    "02/03/2026",
    "1772366400000",
  ),
)

const doubtfulId = fc.oneof(
  fc.uuid(),
  fc.uuid().map((id) => id.toUpperCase()),
  fc.uuid().map((id) => id.replaceAll("-", "")),
  fc.uuid().map((id) => `{${id}}`),
  fc.uuid().map((id) => ` ${id}`),
  fc.uuid().map((id) => id.slice(1)),
  anyText,
)

const doubtfulText = (queue: QueueName, field: string) => {
  const maximum = (maximums[queue] as Readonly<Record<string, number>>)[field] ?? 300
  return fc.oneof(
    anyText,
    storableText(maximum + 1, maximum - 1),
    fc.integer({ min: maximum - 1, max: maximum + 1 }).map((length) => "😀".repeat(length)),
    fc.integer({ min: maximum - 1, max: maximum + 1 }).map((length) => `${"x".repeat(length)} `),
    fc.constantFrom("", " ", "a\u0000b", "\ud800", "\udfff", "\ude00\ud83d", "\ud83d\ude00"),
  )
}

const otherType: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(null, true, 0, -1, 1.5, 1e300, 2 ** 53, [], {}, [""], { message: "x" }),
)

const doubtfulValue = (queue: QueueName, field: string): fc.Arbitrary<unknown> => {
  if (field === "authored_at") return doubtfulTime
  return field === "message_id" ? doubtfulId : doubtfulText(queue, field)
}

/** One field of a message, changed, removed or added. */
const changedField = (queue: QueueName): fc.Arbitrary<Fields> =>
  fc.oneof(
    ...fieldsOf(queue).map((field) =>
      fc
        .oneof(
          { weight: 2, arbitrary: otherType },
          { weight: 1, arbitrary: fc.constant<unknown>(undefined) },
          { weight: 5, arbitrary: doubtfulValue(queue, field) },
        )
        .map((value) => ({ [field]: value })),
    ),
  )

const otherKeys: fc.Arbitrary<Fields> = fc.dictionary(
  fc.oneof(fc.constantFrom("__proto__", "constructor", "toString", "toJSON", "cache_id"), fc.string()),
  fc.jsonValue(),
  { maxKeys: 3 },
)

/** A draft that may or may not be one. */
export const doubtfulDraft = (queue: QueueName): fc.Arbitrary<Fields> =>
  fc
    .tuple(messages[queue], fc.oneof(fc.constant({}), changedField(queue), otherKeys))
    .map(([message, change]) => ({ ...message, ...change }))

/** As it may stand in a JSON text, where it stands at all. */
const anyCacheId = fc.oneof(
  fc.maxSafeNat().map(String),
  fc.nat(10_000).map(String),
  fc.double().map(String),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
  fc.nat().map((id) => `"${id}"`),
  fc.constantFrom(
    "-0",
    "7.0",
    "1e3",
    "1e400",
    "-1",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    '" 7 "',
    '"0x10"',
    "0x10",
    "1_000",
    "012",
    "null",
    "true",
    "[]",
    "{}",
  ),
)

const goodCacheId = fc.nat(1_000_000).map(String)

const nested = fc
  .tuple(fc.integer({ min: 1, max: 5000 }), fc.constantFrom("[]", '{"a":}'))
  .map(([depth, brackets]) =>
    brackets === "[]"
      ? "[".repeat(depth) + "]".repeat(depth)
      : `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`,
  )

/** The JSON text of a message that is one, of which one thing is another. */
const doubtfulPayload = (queue: QueueName): fc.Arbitrary<string> => {
  const payload = messages[queue].map(encodePayload)
  const field = fc.constantFrom(...fieldsOf(queue))
  return fc.oneof(
    { weight: 6, arbitrary: doubtfulDraft(queue).map(encodePayload) },
    // The name again, before or behind, with another value.
    fc
      .tuple(payload, field, fc.jsonValue(), fc.boolean())
      .map(([text, name, value, isFirst]) =>
        isFirst
          ? text.replace(/^\{/, () => `{${JSON.stringify({ [name]: value }).slice(1, -1)},`)
          : text.replace(/\}$/, () => `,${JSON.stringify({ [name]: value }).slice(1, -1)}}`),
      ),
    fc.tuple(payload, nested).map(([text, deep]) => text.replace(/\}$/, () => `,"more":${deep}}`)),
    fc
      .tuple(messages[queue], field, nested)
      .map(([said, name, deep]) =>
        encodePayload({ ...said, [name]: "<slot>" }).replace('"<slot>"', () => deep),
      ),
    fc
      .tuple(payload, fc.constantFrom("\\u0000", "\\ud800", "\\udfff\\ud800", "\\ud83d\\ude00", "\\x", "\\"))
      .map(([text, escape]) => text.replace('"message":"', () => `"message":"${escape}`)),
    nested,
    fc.json(),
    payload.map((text) => `{"__proto__":${text}}`),
  )
}

const entry = (queue: QueueName): fc.Arbitrary<Entry> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(goodCacheId, doubtfulPayload(queue)).map(([id, data]) => entryOf(id, data)),
    },
    fc.tuple(anyCacheId, messages[queue].map(encodePayload)).map(([id, data]) => entryOf(id, data)),
  )

/** Bytes that no text is made of. */
const junk = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 4 }),
  fc
    .constantFrom(
      [0xff, 0xfe],
      [0x00],
      [0xed, 0xa0, 0x80],
      [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
      [0xc0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xf0, 0x9f, 0x98],
      [0xef, 0xbb, 0xbf],
    )
    .map((bytes) => Uint8Array.from(bytes)),
)

type Edit = (bytes: Uint8Array) => Uint8Array

/** @param where as a share of the length, so that it lies within bytes of any length */
const at = (bytes: Uint8Array, where: number) => Math.floor(where * (bytes.length + 1))

const where = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

/** What happens to bytes that are copied badly. */
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(where, junk).map(([place, added]): Edit => (bytes) => {
    const index = at(bytes, place)
    return Buffer.concat([bytes.slice(0, index), added, bytes.slice(index)])
  }),
  fc.tuple(where, junk).map(([place, other]): Edit => (bytes) => {
    const changed = Uint8Array.from(bytes)
    const index = at(bytes, place)
    changed.set(other.slice(0, Math.max(0, bytes.length - index)), Math.min(index, bytes.length))
    return changed
  }),
  fc.tuple(where, fc.nat(7)).map(([place, bit]): Edit => (bytes) => {
    const changed = Uint8Array.from(bytes)
    const index = at(bytes, place)
    if (index < bytes.length) changed[index]! ^= 1 << bit
    return changed
  }),
  where.map(
    (place): Edit =>
      (bytes) =>
        bytes.slice(0, at(bytes, place)),
  ),
  where.map(
    (place): Edit =>
      (bytes) =>
        bytes.slice(at(bytes, place)),
  ),
  fc.tuple(where, fc.integer({ min: 1, max: 20 })).map(([place, length]): Edit => (bytes) => {
    const index = at(bytes, place)
    return Buffer.concat([bytes.slice(0, index), bytes.slice(index + length)])
  }),
  fc.constant<Edit>((bytes) => Buffer.concat([bytes, bytes])),
)

/** An entry of a queue that may or may not be a message. */
export const poisonedEntry = (queue: QueueName): fc.Arbitrary<Entry> =>
  fc.oneof(
    { weight: 4, arbitrary: entry(queue) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          fc.tuple(goodCacheId, messages[queue].map(encodePayload)).map(([id, data]) => entryOf(id, data)),
          fc.array(edit, { minLength: 1, maxLength: 3 }),
        )
        .map(([bytes, edits]) => edits.reduce((edited, next) => next(edited), bytes)),
    },
    fc.uint8Array({ maxLength: 50 }),
    // Those of the predecessor.
    fc
      .tuple(goodCacheId, messages[queue])
      .map(([id, message]) => entryOf(id, encodePayload({ ...message, message_id: undefined }))),
  )
