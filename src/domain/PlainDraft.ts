/**
 * A quick answer for the drafts that are certainly valid, which are nearly all: decoding by schema costs ten times as
 * much, and would be the most expensive step of publishing. The schemas in `Message.ts` are the definition. What is
 * accepted here they accept as well and leave as it is; whatever is not goes to them.
 */
import { maximumMessageBytes, type PrivateMessageDraft, type PublicMessageDraft } from "./Message.ts"

/** A text has at least as many UTF-16 units as characters, so that nothing needs to be counted. */
export const isPlainText = (value: unknown, maximumUnits: number): value is string =>
  typeof value === "string" &&
  value.length > 0 &&
  value.length <= maximumUnits &&
  !value.includes("\u0000") &&
  value.isWellFormed()

/** A UTF-16 unit takes three bytes of UTF-8 at most. */
const maximumMessageUnits = Math.floor(maximumMessageBytes / 3)

/** As from `JSON.parse` or an object literal, without an identity of its own, whose rules are worth a schema. */
const isPlainObject = (input: unknown): input is Readonly<Record<string, unknown>> =>
  typeof input === "object" &&
  input !== null &&
  Object.getPrototypeOf(input) === Object.prototype &&
  !("message_id" in input) &&
  !("authored_at" in input)

const isPlainMessage = (input: Readonly<Record<string, unknown>>): boolean =>
  isPlainText(input["owner_id"], 36) &&
  isPlainText(input["username"], 64) &&
  isPlainText(input["message"], maximumMessageUnits)

/** The draft without what is not part of it, or `undefined` when only the schema can tell. */
export const plainPublicDraft = (input: unknown): PublicMessageDraft | undefined => {
  if (!isPlainObject(input) || !isPlainMessage(input) || !isPlainText(input["channel"], 24)) return undefined
  const { owner_id, username, channel, message } = input as unknown as PublicMessageDraft
  return { owner_id, username, channel, message }
}

/** The same for a private message. */
export const plainPrivateDraft = (input: unknown): PrivateMessageDraft | undefined => {
  if (!isPlainObject(input) || !isPlainMessage(input)) return undefined
  if (!isPlainText(input["recipient_id"], 36) || !isPlainText(input["recipient"], 64)) return undefined
  const { owner_id, username, recipient_id, recipient, message } = input as unknown as PrivateMessageDraft
  return { owner_id, username, recipient_id, recipient, message }
}
