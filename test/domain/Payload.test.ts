import { assert, it } from "@effect/vitest"
import * as fc from "fast-check"
import { encodePayload } from "../../src/domain/Entry.ts"
import type { PrivateMessage, PublicMessage } from "../../src/domain/Message.ts"
import { privatePayload, publicPayload } from "../../src/domain/Payload.ts"
import { anyText, privateMessage, publicMessage } from "../support/arbitraries.ts"

const texts = fc.oneof(
  anyText,
  fc.constantFrom('"', "\\", "\u0000", "\u001f", "\u007f", "\u2028", "\ud800", "😀"),
)

/** A message with any text in each of its fields, also such as no message may have. */
const withTexts = <Message extends object>(
  messages: fc.Arbitrary<Message>,
  fields: ReadonlyArray<keyof Message>,
) =>
  fc
    .tuple(messages, fc.array(texts, { minLength: fields.length, maxLength: fields.length }))
    .map(([message, given]) =>
      fields.reduce<Message>((said, field, index) => ({ ...said, [field]: given[index] }), message),
    )

it.prop(
  "the payload of a public message is what JSON.stringify makes of it",
  [withTexts<PublicMessage>(publicMessage, ["owner_id", "username", "channel", "message"])],
  ([message]) => {
    assert.strictEqual(publicPayload(message), encodePayload(message))
  },
)

it.prop(
  "the payload of a private message is what JSON.stringify makes of it",
  [
    withTexts<PrivateMessage>(privateMessage, [
      "owner_id",
      "username",
      "recipient_id",
      "recipient",
      "message",
    ]),
  ],
  ([message]) => {
    assert.strictEqual(privatePayload(message), encodePayload(message))
  },
)
