/**
 * The JSON text of a message, put together by hand: of what it costs to publish one, `JSON.stringify` is a tenth. The
 * texts are the same as `encodePayload` makes, which is the definition.
 */
import type { PrivateMessage, PublicMessage } from "./Message.ts"

/** What JSON writes in another way. Most texts have none of it, and stand between quotes as they are. */
// oxlint-disable-next-line no-control-regex -- control characters are what it is about
const special = /["\\\u0000-\u001f\ud800-\udfff]/

const quoted = (text: string): string => (special.test(text) ? JSON.stringify(text) : `"${text}"`)

/** Ids and times are not looked at: no UUID and no RFC 3339 timestamp has anything special in it. */
export const publicPayload = (message: PublicMessage): string =>
  `{"message_id":"${message.message_id}","owner_id":${quoted(message.owner_id)},"username":${quoted(message.username)},"channel":${quoted(message.channel)},"message":${quoted(message.message)},"authored_at":"${message.authored_at}"}`

/** The same for a private message. */
export const privatePayload = (message: PrivateMessage): string =>
  `{"message_id":"${message.message_id}","owner_id":${quoted(message.owner_id)},"username":${quoted(message.username)},"recipient_id":${quoted(message.recipient_id)},"recipient":${quoted(message.recipient)},"message":${quoted(message.message)},"authored_at":"${message.authored_at}"}`
