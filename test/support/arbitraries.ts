/** What the domain is made of, at its most awkward, for properties (`it.prop`, `it.effect.prop`). */
import * as fc from "fast-check"
import { encodePayload, type Entry } from "../../src/domain/Entry.ts"
import {
  BatchPersisted,
  CounterReseeded,
  DaemonStarted,
  DaemonStopped,
  type Event,
  FlushFailed,
  FlushRecovered,
  FlushTrigger,
  MessageDeleted,
  MessageQuarantined,
  MessagesImported,
  QuarantineDiscarded,
  QuarantineReason,
  QuarantineReplayed,
  RateLimitChanged,
} from "../../src/domain/Event.ts"
import {
  type PrivateMessage,
  type PrivateMessageDraft,
  type PublicMessage,
  type PublicMessageDraft,
  type QueueName,
  queueNames,
} from "../../src/domain/Message.ts"
import { messageLimitMaximum, windowSecondsMaximum } from "../../src/domain/RateLimit.ts"

/** Texts that mean something to JSON, Lua, SQL, HTML or a terminal, and must mean nothing here. */
const awkwardText = fc.constantFrom(
  '"',
  "\\",
  "'",
  "\\u0000",
  "\\N",
  "</script>",
  "[]",
  "{}",
  "{NULL,",
  "null",
  "9007199254740993",
  "123456789012345678901234567890",
  "1e400",
  "%s%.0f",
  "$1",
  "'); DROP TABLE chat_messages; --",
  "__proto__",
  "constructor",
  " ",
  "\r\n",
  "\u0001",
  "\u007f",
  "\u2028",
  "\u202e",
  "\ufeff",
  "\ufffd",
  "\uffff",
  "e\u0301",
  "😀",
  "👩‍👩‍👧‍👦",
)

const character = fc.string({ unit: "binary", minLength: 1, maxLength: 1 })
const storableCharacter = character.filter((text) => text !== "\u0000")
const loneSurrogate = fc.integer({ min: 0xd800, max: 0xdfff }).map((unit) => String.fromCharCode(unit))

/** Any string that JavaScript can hold, also with U+0000 and lone surrogates. */
export const anyText: fc.Arbitrary<string> = fc
  .array(fc.oneof(character, awkwardText, loneSurrogate, fc.constant("\u0000")))
  .map((parts) => parts.join(""))

/** Well-formed text without U+0000 of at most `maximum` characters, as PostgreSQL counts them. */
export const storableText = (maximum: number, minimum = 0): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof(storableCharacter, awkwardText), { minLength: minimum, maxLength: maximum })
    .map((parts) => [...parts.join("")].slice(0, maximum).join(""))

export const queueName: fc.Arbitrary<QueueName> = fc.constantFrom(...queueNames)

/** A UUID in lower case, as messages keep it. */
export const messageId: fc.Arbitrary<string> = fc.uuid()

export const cacheId: fc.Arbitrary<number> = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })

const firstInstant = Date.parse("0001-01-01T00:00:00Z")
const lastInstant = Date.parse("9999-12-31T23:59:59Z")

const zone = (offsetMinutes: number): string => {
  const distance = Math.abs(offsetMinutes)
  const hours = String(Math.floor(distance / 60)).padStart(2, "0")
  return `${offsetMinutes < 0 ? "-" : "+"}${hours}:${String(distance % 60).padStart(2, "0")}`
}

/** A timestamp that chat-cache takes, in any form that RFC 3339 allows, and the instant that it means in milliseconds. */
export const timestampWithInstant: fc.Arbitrary<{ readonly text: string; readonly instant: number }> = fc
  .record({
    second: fc.integer({ min: firstInstant / 1000, max: Math.floor(lastInstant / 1000) }),
    offsetMinutes: fc.integer({ min: -959, max: 959 }),
    fraction: fc.string({ unit: fc.constantFrom(..."0123456789"), maxLength: 9 }),
    isZulu: fc.boolean(),
    isLowerCase: fc.boolean(),
  })
  .map(({ second, offsetMinutes, fraction, isZulu, isLowerCase }) => {
    const local = second * 1000 + (isZulu ? 0 : offsetMinutes * 60_000)
    const text = `${new Date(local).toISOString().slice(0, -5)}${fraction === "" ? "" : `.${fraction}`}${isZulu ? "Z" : zone(offsetMinutes)}`
    return {
      local,
      text: isLowerCase ? text.toLowerCase() : text,
      instant: second * 1000 + Number(fraction.padEnd(3, "0").slice(0, 3)),
    }
  })
  .filter(({ local }) => local >= firstInstant && local <= lastInstant)

export const timestamp: fc.Arbitrary<string> = timestampWithInstant.map(({ text }) => text)

const draftIdentity = {
  message_id: fc.oneof(
    messageId,
    messageId.map((id) => id.toUpperCase()),
  ),
  authored_at: timestamp,
}

/** What a publisher may send: always taken. */
export const publicMessageDraft: fc.Arbitrary<PublicMessageDraft> = fc.record(
  {
    owner_id: storableText(36, 1),
    username: storableText(64, 1),
    channel: storableText(24, 1),
    message: storableText(300, 1),
    ...draftIdentity,
  },
  { requiredKeys: ["owner_id", "username", "channel", "message"] },
)

export const privateMessageDraft: fc.Arbitrary<PrivateMessageDraft> = fc.record(
  {
    owner_id: storableText(36, 1),
    username: storableText(64, 1),
    recipient_id: storableText(36, 1),
    recipient: storableText(64, 1),
    message: storableText(300, 1),
    ...draftIdentity,
  },
  { requiredKeys: ["owner_id", "username", "recipient_id", "recipient", "message"] },
)

/** What may stand in a queue: also empty texts, which no publisher of ours sends. */
export const publicMessage: fc.Arbitrary<PublicMessage> = fc.record({
  message_id: messageId,
  owner_id: storableText(36),
  username: storableText(64),
  channel: storableText(24),
  message: storableText(300),
  authored_at: timestamp,
})

export const privateMessage: fc.Arbitrary<PrivateMessage> = fc.record({
  message_id: messageId,
  owner_id: storableText(36),
  username: storableText(64),
  recipient_id: storableText(36),
  recipient: storableText(64),
  message: storableText(300),
  authored_at: timestamp,
})

const utf8 = new TextEncoder()

/** The entry that Valkey makes of a payload: `{"cache_id":<cacheId>,"data":<payload>}`. */
export const entryOf = (cacheId: number | string, payload: string): Entry =>
  utf8.encode(`{"cache_id":${cacheId},"data":${payload}}`)

/** Bytes that are no message of either queue. */
export const undecodableEntry: fc.Arbitrary<Entry> = fc.oneof(
  fc.uint8Array().map((bytes) => Uint8Array.of(...bytes, 0xff)),
  anyText.map((text) => utf8.encode(`{${text}`)),
  fc.jsonValue().map((value) => utf8.encode(JSON.stringify(value))),
  fc
    .tuple(cacheId, publicMessage)
    .map(([id, said]) => entryOf(id, encodePayload({ ...said, message: null }))),
)

const count = fc.nat(1_000_000)
const nullable = <A>(arbitrary: fc.Arbitrary<A>): fc.Arbitrary<A | null> =>
  fc.option(arbitrary, { nil: null })
const milliseconds = fc.oneof(count, fc.double({ min: 0, max: 1e9, noNaN: true }))
const sqlstate = fc.string({ unit: fc.constantFrom(..."0123456789ABCDEFP"), minLength: 5, maxLength: 5 })
const quarantineId = fc.integer({ min: 1, max: 1_000_000 })

/** One arbitrary per event. The type holds it complete. */
export const eventArbitraries: {
  readonly [Tag in Event["_tag"]]: fc.Arbitrary<Extract<Event, { readonly _tag: Tag }>>
} = {
  BatchPersisted: fc
    .record({
      queue: queueName,
      trigger: fc.constantFrom(...FlushTrigger.literals),
      first_cache_id: nullable(cacheId),
      last_cache_id: nullable(cacheId),
      persisted: count,
      duplicates: count,
      quarantined: count,
      deleted: count,
      duration_ms: milliseconds,
    })
    .map((fields) => new BatchPersisted(fields)),
  MessageDeleted: fc
    .record({ queue: queueName, message_id: messageId, removed_row: fc.boolean() })
    .map((fields) => new MessageDeleted(fields)),
  MessageQuarantined: fc
    .record({
      queue: queueName,
      quarantine_id: quarantineId,
      cache_id: nullable(cacheId),
      reason: fc.constantFrom(...QuarantineReason.literals),
      sqlstate: nullable(sqlstate),
    })
    .map((fields) => new MessageQuarantined(fields)),
  QuarantineReplayed: fc
    .record(
      {
        queue: queueName,
        quarantine_id: quarantineId,
        message_id: messageId,
        corrected: fc.boolean(),
        added_row: fc.boolean(),
        took_cache_id: fc.boolean(),
      },
      { requiredKeys: ["queue", "quarantine_id", "message_id", "corrected"] },
    )
    .map((fields) => new QuarantineReplayed(fields)),
  QuarantineDiscarded: fc
    .record({ queue: queueName, quarantine_id: quarantineId })
    .map((fields) => new QuarantineDiscarded(fields)),
  MessagesImported: fc
    .record({
      queue: queueName,
      source: fc.constant("chatserver.chat_messages"),
      persisted: count,
      quarantined: count,
    })
    .map((fields) => new MessagesImported(fields)),
  RateLimitChanged: fc
    .record({
      message_limit: fc.integer({ min: 1, max: messageLimitMaximum }),
      window_seconds: fc.integer({ min: 1, max: windowSecondsMaximum }),
    })
    .map((fields) => new RateLimitChanged(fields)),
  CounterReseeded: fc
    .record({ queue: queueName, from: nullable(cacheId), to: cacheId })
    .map((fields) => new CounterReseeded(fields)),
  FlushFailed: fc
    .record({
      queue: queueName,
      reason: storableText(100),
      attempts: count,
      started_at: timestamp,
      duration_ms: milliseconds,
    })
    .map((fields) => new FlushFailed(fields)),
  FlushRecovered: fc.record({ queue: queueName }).map((fields) => new FlushRecovered(fields)),
  DaemonStarted: fc
    .record({ instance_id: messageId, version: storableText(20) })
    .map((fields) => new DaemonStarted(fields)),
  DaemonStopped: fc
    .record({
      instance_id: messageId,
      public_remaining: nullable(count),
      private_remaining: nullable(count),
    })
    .map((fields) => new DaemonStopped(fields)),
}

export const event: fc.Arbitrary<Event> = fc.oneof(...Object.values(eventArbitraries))
