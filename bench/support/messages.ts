import { v7 as uuidV7 } from "uuid"
import { encodePayload } from "../../src/domain/Entry.ts"
import type { PublicMessage, PublicMessageDraft } from "../../src/domain/Message.ts"

/** With it, the payload of a message is about 230 bytes long. */
const textLength = 57

const authoredAt = "2026-01-01T12:00:00.000Z"

/** Messages that differ in their text, as a chat application gives them: without `message_id` and `authored_at`. */
export const makeDrafts = (count: number, users: number): ReadonlyArray<PublicMessageDraft> =>
  Array.from({ length: count }, (_, index) => {
    const user = `user-${String(index % users).padStart(6, "0")}`
    const message = `Message ${index}: `.padEnd(textLength, "what people say to each other, ")
    return { owner_id: user, username: user, channel: "general", message }
  })

/** What makes a payload of the draft, in the order in which the publisher writes it. */
export const complete = (draft: PublicMessageDraft, messageId: string, now: string): PublicMessage => ({
  message_id: messageId,
  owner_id: draft.owner_id,
  username: draft.username,
  channel: draft.channel,
  message: draft.message,
  authored_at: now,
})

export const makeMessages = (count: number, users: number): ReadonlyArray<PublicMessage> =>
  makeDrafts(count, users).map((draft) => complete(draft, uuidV7(), authoredAt))

/** The entries of a queue that holds the messages, with the ids from 1 on. */
export const entriesOf = (messages: ReadonlyArray<PublicMessage>): ReadonlyArray<string> =>
  messages.map((message, index) => `{"cache_id":${index + 1},"data":${encodePayload(message)}}`)

export const payloadBytes = (draft: PublicMessageDraft): number =>
  Buffer.byteLength(encodePayload(complete(draft, uuidV7(), authoredAt)))
