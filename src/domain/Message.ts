import { Schema } from "effect"
import { byteLength, nonEmpty, storableCharacters, StorableText } from "./Text.ts"
import { Timestamp } from "./Timestamp.ts"

/** The two streams of messages. Each has its own queue, counter, flusher and table. */
export const QueueName = Schema.Literal("public", "private")
export type QueueName = typeof QueueName.Type

/** Both of them, to go through. */
export const queueNames: ReadonlyArray<QueueName> = QueueName.literals

/** A position that a queue's counter gave: an integer from 0 to 2^53 - 1. It orders; it identifies nothing. */
export const CacheId = Schema.Number.annotations({ message: () => "must be a number" }).pipe(
  Schema.filter((id) => (Number.isSafeInteger(id) && id >= 0) || "must be an integer from 0 to 2^53 - 1", {
    identifier: "CacheId",
    jsonSchema: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  }),
)

/**
 * Counters are never raised above this, half of what they can count to: an entry that somebody queued by hand with a
 * higher id is stored like any other, but does not use up the ids of all messages after it.
 */
export const highestCountedCacheId = 2 ** 52

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** What makes two messages the same: a UUID in any version, in lower case as PostgreSQL prints it. */
export const MessageId = Schema.transform(
  Schema.String.annotations({ message: () => "must be a string" }).pipe(
    Schema.filter(
      (text) => uuid.test(text) || "must be a UUID such as 0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11",
      {
        jsonSchema: { type: "string", format: "uuid" },
      },
    ),
  ),
  Schema.String,
  { strict: true, decode: (text) => text.toLowerCase(), encode: (text) => text },
).annotations({ identifier: "MessageId" })

/** The most that one message text may be, in bytes of UTF-8. */
export const maximumMessageBytes = 64 * 1024

const mustBeAnObject = () => "must be an object"

const UserId = storableCharacters(36)
const Username = storableCharacters(64)
const Channel = storableCharacters(24)

const DraftText = nonEmpty(StorableText).pipe(
  Schema.filter(
    (text) =>
      // A UTF-16 unit never takes more than three bytes, so that most texts need not be encoded to be measured.
      text.length * 3 <= maximumMessageBytes ||
      byteLength(text) <= maximumMessageBytes ||
      `must be at most ${maximumMessageBytes} bytes long in UTF-8`,
  ),
)

/** `exact`, because the alternative `undefined` would add a problem of its own, and one that quotes the input. */
const DraftIdentity = {
  message_id: Schema.optionalWith(MessageId, { exact: true }),
  authored_at: Schema.optionalWith(Timestamp, { exact: true }),
}

/**
 * What a publisher gives of a public message:
 * `{ owner_id, username, channel, message, message_id?, authored_at? }`.
 *
 * At most 36 characters for the id, 64 for the name, 24 for the channel, 64 KiB for the text; nothing is empty, and nothing
 * holds what PostgreSQL could not store. `message_id` is a UUID, `authored_at` a timestamp of RFC 3339; both are filled in
 * when absent.
 */
export const PublicMessageDraft = Schema.Struct({
  owner_id: nonEmpty(UserId),
  username: nonEmpty(Username),
  channel: nonEmpty(Channel),
  message: DraftText,
  ...DraftIdentity,
}).annotations({ identifier: "PublicMessageDraft", message: mustBeAnObject })
export type PublicMessageDraft = typeof PublicMessageDraft.Type

/**
 * What a publisher gives of a private message from `owner_id` to `recipient_id`:
 * `{ owner_id, username, recipient_id, recipient, message, message_id?, authored_at? }`, by the rules of a public one.
 */
export const PrivateMessageDraft = Schema.Struct({
  owner_id: nonEmpty(UserId),
  username: nonEmpty(Username),
  recipient_id: nonEmpty(UserId),
  recipient: nonEmpty(Username),
  message: DraftText,
  ...DraftIdentity,
}).annotations({ identifier: "PrivateMessageDraft", message: mustBeAnObject })
export type PrivateMessageDraft = typeof PrivateMessageDraft.Type

/**
 * A public message as it is queued and stored. Wider than the draft: whatever PostgreSQL can store is a message,
 * also when another program queued it without our rules about empty or long texts.
 */
export const PublicMessage = Schema.Struct({
  message_id: MessageId,
  owner_id: UserId,
  username: Username,
  channel: Channel,
  message: StorableText,
  authored_at: Timestamp,
}).annotations({ identifier: "PublicMessage", message: mustBeAnObject })
export type PublicMessage = typeof PublicMessage.Type

/** A private message as it is queued and stored. */
export const PrivateMessage = Schema.Struct({
  message_id: MessageId,
  owner_id: UserId,
  username: Username,
  recipient_id: UserId,
  recipient: Username,
  message: StorableText,
  authored_at: Timestamp,
}).annotations({ identifier: "PrivateMessage", message: mustBeAnObject })
export type PrivateMessage = typeof PrivateMessage.Type

export type Message = PublicMessage | PrivateMessage

/**
 * A public message with the position that the cache gave it, as readers get it:
 * `{ cache_id, message_id, owner_id, username, channel, message, authored_at }`.
 */
export const CachedPublicMessage = Schema.Struct({ cache_id: CacheId, ...PublicMessage.fields }).annotations({
  identifier: "CachedPublicMessage",
})
export type CachedPublicMessage = typeof CachedPublicMessage.Type

/** The same of a private one, with `recipient_id` and `recipient` in place of the channel. */
export const CachedPrivateMessage = Schema.Struct({
  cache_id: CacheId,
  ...PrivateMessage.fields,
}).annotations({
  identifier: "CachedPrivateMessage",
})
export type CachedPrivateMessage = typeof CachedPrivateMessage.Type

export type CachedMessage = CachedPublicMessage | CachedPrivateMessage

/**
 * What a publisher learns of a message that was taken: `{ cache_id, message_id, authored_at }`. From here on the message
 * cannot be lost.
 */
export const Accepted = Schema.Struct({
  cache_id: CacheId,
  message_id: Schema.String,
  authored_at: Schema.String,
}).annotations({ identifier: "Accepted" })
export type Accepted = typeof Accepted.Type
