import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { encodePayload, type Entry } from "../../src/domain/Entry.ts"
import type { Message } from "../../src/domain/Message.ts"
import { newestPrivate, newestPublic } from "../../src/domain/Recent.ts"
import { cacheId, entryOf, privateMessage, publicMessage, undecodableEntry } from "../support/arbitraries.ts"

/** So few ids that many messages stand in the cache twice. */
const fewIds = fc.constantFrom(
  ..."abcdef".split("").map((digit) => `0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d1${digit}`),
)

interface Cached {
  readonly entry: Entry
  /** Absent when the entry is no message. */
  readonly message?: Message & { readonly cache_id: number }
}

const cacheOf = (messages: fc.Arbitrary<Message>): fc.Arbitrary<ReadonlyArray<Cached>> =>
  fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.tuple(cacheId, fewIds, messages).map(([cache_id, message_id, said]): Cached => {
          const message = { ...said, message_id }
          return { entry: entryOf(cache_id, encodePayload(message)), message: { cache_id, ...message } }
        }),
      },
      { weight: 1, arbitrary: undecodableEntry.map((entry): Cached => ({ entry })) },
    ),
  )

const expected = (cache: ReadonlyArray<Cached>, limit: number) => {
  const messages = cache.flatMap(({ message }) => (message === undefined ? [] : [message]))
  const firstOfEach = messages.filter(
    ({ message_id }, index) => messages.findIndex((other) => other.message_id === message_id) === index,
  )
  return limit === 0 ? [] : firstOfEach.slice(-limit)
}

describe.each([
  { kind: "public", newest: newestPublic, messages: publicMessage as fc.Arbitrary<Message> },
  { kind: "private", newest: newestPrivate, messages: privateMessage as fc.Arbitrary<Message> },
])("the newest $kind messages", ({ newest, messages }) => {
  it.prop(
    "are the last `limit` different ones, oldest first, and every entry that is no message is counted",
    [cacheOf(messages), fc.oneof(fc.nat(8), fc.constant(500))],
    ([cache, limit]) => {
      const entries = cache.map(({ entry }) => entry)
      const recent = newest({ entries, deleted: new Set() }, limit)
      assert.deepStrictEqual<ReadonlyArray<unknown>>(recent.messages, expected(cache, limit))
      assert.lengthOf(recent.skipped, cache.filter(({ message }) => message === undefined).length)
    },
  )
})

it.prop(
  "that were deleted are not shown, and leave their places to older ones",
  [cacheOf(publicMessage), fc.nat(8), fc.func(fc.boolean())],
  ([cache, limit, isDeleted]) => {
    const ids = cache.flatMap(({ message }) => (message === undefined ? [] : [message.message_id]))
    const deleted = new Set(ids.filter((id) => isDeleted(id)))
    const left = cache.filter(({ message }) => message === undefined || !deleted.has(message.message_id))
    const entries = cache.map(({ entry }) => entry)
    assert.deepStrictEqual<ReadonlyArray<unknown>>(
      newestPublic({ entries, deleted }, limit).messages,
      expected(left, limit),
    )
  },
)

it("a message that was sent twice keeps its first place and its first cache_id", () => {
  const message = (id: number, digit: string) =>
    entryOf(
      id,
      `{"message_id":"0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d1${digit}","owner_id":"u","username":"Ada","channel":"c","message":"","authored_at":"2026-03-01T12:00:00Z"}`,
    )
  const { messages } = newestPublic(
    {
      entries: [message(1, "a"), message(2, "b"), message(3, "A"), message(4, "c")],
      deleted: new Set(),
    },
    3,
  )
  assert.deepStrictEqual(
    messages.map(({ cache_id }) => cache_id),
    [1, 2, 4],
  )
})

it("says of each entry that is passed over what it is, in order", () => {
  const { messages, skipped } = newestPublic(
    {
      entries: [Uint8Array.of(0xff), new Uint8Array(), entryOf(1, "{}"), Uint8Array.of(0xff)],
      deleted: new Set(),
    },
    1,
  )
  assert.deepStrictEqual(messages, [])
  assert.deepStrictEqual(
    skipped.map(({ reason }) => reason),
    ["invalid_utf8", "invalid_json", "wrong_shape", "invalid_utf8"],
  )
})
