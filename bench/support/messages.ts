import { randomUUID } from "node:crypto"
import { v7 as uuidV7 } from "uuid"
import { encodePayload } from "../../src/domain/Entry.ts"
import type { PublicMessage, PublicMessageDraft } from "../../src/domain/Message.ts"

export interface MessageSize {
  /** Different authors. */
  readonly users: number
  /** Characters of the text. With 57, a payload is 234 bytes long. */
  readonly textLength: number
}

const authoredAt = "2026-01-01T12:00:00.000Z"

export const userAt = (index: number): string => `user-${String(index).padStart(6, "0")}`

/** Messages that differ in their text, as a chat application gives them: without `message_id` and `authored_at`. */
export const makeDraft = (index: number, { users, textLength }: MessageSize): PublicMessageDraft => {
  const user = userAt(index % users)
  const message = `Message ${index}: `.padEnd(textLength, "what people say to each other, ")
  return { owner_id: user, username: user, channel: "general", message }
}

export const makeDrafts = (count: number, size: MessageSize): ReadonlyArray<PublicMessageDraft> =>
  Array.from({ length: count }, (_, index) => makeDraft(index, size))

/** What makes a payload of the draft, in the order in which the publisher writes it. */
export const complete = (draft: PublicMessageDraft, messageId: string, now: string): PublicMessage => ({
  message_id: messageId,
  owner_id: draft.owner_id,
  username: draft.username,
  channel: draft.channel,
  message: draft.message,
  authored_at: now,
})

/** The same with an id and a time of this moment, as the plain ways make them. */
export const completeNow = (draft: PublicMessageDraft): PublicMessage =>
  complete(draft, randomUUID(), new Date().toISOString())

export const payloadOf = (draft: PublicMessageDraft): string => encodePayload(completeNow(draft))

export const makeMessages = (count: number, size: MessageSize): ReadonlyArray<PublicMessage> =>
  makeDrafts(count, size).map((draft) => complete(draft, uuidV7(), authoredAt))

/** The entry of a queue that holds the message number `index` under the next id, made when it is needed. */
export const entryAt = (index: number, size: MessageSize): string =>
  `{"cache_id":${index + 1},"data":${encodePayload(complete(makeDraft(index, size), uuidV7(), authoredAt))}}`

/** The entries of a queue that holds the messages, with the ids from 1 on. */
export const entriesOf = (messages: ReadonlyArray<PublicMessage>): ReadonlyArray<string> =>
  messages.map((message, index) => `{"cache_id":${index + 1},"data":${encodePayload(message)}}`)

export const payloadBytes = (draft: PublicMessageDraft): number =>
  Buffer.byteLength(encodePayload(complete(draft, uuidV7(), authoredAt)))
