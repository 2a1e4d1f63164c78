import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"
import * as fc from "fast-check"
import { CachedPrivateMessage, CachedPublicMessage } from "../../src/domain/Message.ts"
import { plainPrivateEntry, plainPublicEntry } from "../../src/domain/PlainEntry.ts"
import { anyText, cacheId, privateMessage, publicMessage } from "../support/arbitraries.ts"

const fields = [
  "message_id",
  "owner_id",
  "username",
  "channel",
  "recipient_id",
  "recipient",
  "message",
] as const

const awkward = fc.oneof(
  anyText,
  fc.jsonValue(),
  fc.integer({ min: 20, max: 70 }).map((length) => "x".repeat(length)),
  fc.integer({ min: 10, max: 40 }).map((length) => "😀".repeat(length)),
  fc.uuid().map((id) => id.toUpperCase()),
  fc.constantFrom(
    "",
    "\u0000",
    "\ud800",
    "now",
    "2026-02-30T12:00:00Z",
    "2026-03-01T24:00:00Z",
    "0000-12-31T23:00:00-01:00",
    "9999-12-31T23:59:59-00:01",
    "2026-03-01T12:00:00.000000000+15:59",
  ),
  // One character more than the columns allow.
  fc.constantFrom(25, 37, 65).map((length) => "x".repeat(length)),
)

const awkwardId = fc.oneof(awkward, fc.constantFrom(-1, -0, 1.5, 2 ** 53, "5"))

/** What JSON.parse makes of an entry in which one thing is replaced, left out or added. */
const nearly = (messages: fc.Arbitrary<object>): fc.Arbitrary<unknown> =>
  fc
    .tuple(
      cacheId,
      messages,
      fc.constantFrom(...fields, "authored_at", "cache_id", "data", "__proto__", "other", "nothing"),
      awkward,
      awkwardId,
      fc.integer({ min: 0, max: 5 }).map((chance) => chance === 0),
    )
    .map(([id, message, field, value, otherId, isAbsent]) => {
      const replaced = isAbsent ? {} : { [field]: field === "cache_id" ? otherId : value }
      if (field === "cache_id" || field === "data") {
        const { [field]: _, ...rest } = { cache_id: id as unknown, data: message as unknown }
        return { ...rest, ...replaced }
      }
      const { [field as "message"]: _, ...rest } = message as Record<string, unknown>
      return { cache_id: id, data: { ...rest, ...replaced } }
    })
    .map((value) => JSON.parse(JSON.stringify(value)) as unknown)

describe.each([
  { kind: "public", plain: plainPublicEntry, schema: CachedPublicMessage, messages: publicMessage },
  { kind: "private", plain: plainPrivateEntry, schema: CachedPrivateMessage, messages: privateMessage },
] as const)("a plain $kind entry", ({ plain, schema, messages }) => {
  const decode = Schema.decodeUnknownEither(schema as unknown as typeof CachedPublicMessage)

  it.prop(
    "is taken by the schema as well, with the same result",
    [fc.oneof(nearly(messages), fc.jsonValue())],
    ([value]) => {
      const taken = plain(value)
      if (taken === undefined) return
      const { cache_id, data } = value as { readonly cache_id: number; readonly data: object }
      assert.deepStrictEqual(decode({ cache_id, ...data }), Either.right(taken as CachedPublicMessage))
    },
    { fastCheck: { numRuns: 2000 } },
  )

  it.prop("is every one of moderate size that says something", [cacheId, messages], ([cache_id, message]) => {
    const isModerate = Object.values(message).every((text) => text.length > 0 && text.length <= 36)
    const value: unknown = { cache_id, data: message }
    if (isModerate && !("channel" in message && message.channel.length > 24)) {
      assert.deepStrictEqual(plain(value) as unknown, { cache_id, ...message })
    }
  })
})
