import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "fast-check"
import { PrivateMessageDraft, PublicMessageDraft } from "../../src/domain/Message.ts"
import { plainPrivateDraft, plainPublicDraft } from "../../src/domain/PlainDraft.ts"
import { decodeWithProblems } from "../../src/domain/Validation.ts"
import { anyText, privateMessageDraft, publicMessageDraft } from "../support/arbitraries.ts"

const fields = ["owner_id", "username", "channel", "recipient_id", "recipient", "message"] as const

/** A valid draft with one field replaced, left out or added: nearly valid, which is where mistakes are. */
const nearly = (draft: fc.Arbitrary<object>): fc.Arbitrary<unknown> =>
  fc
    .tuple(
      draft,
      fc.constantFrom(...fields, "message_id", "authored_at", "__proto__", "other"),
      fc.oneof(
        anyText,
        fc.anything(),
        fc.integer({ min: 20, max: 70 }).map((length) => "x".repeat(length)),
        fc.integer({ min: 10, max: 40 }).map((length) => "😀".repeat(length)),
        fc.constantFrom("", "\u0000", "\ud800", "x".repeat(21_845), "x".repeat(21_846), "€".repeat(21_846)),
      ),
    )
    .map(([valid, field, value]) => ({ ...valid, [field]: value }))

describe.each([
  { kind: "public", plain: plainPublicDraft, schema: PublicMessageDraft, drafts: publicMessageDraft },
  { kind: "private", plain: plainPrivateDraft, schema: PrivateMessageDraft, drafts: privateMessageDraft },
] as const)("a plain $kind draft", ({ plain, schema, drafts }) => {
  const decode = decodeWithProblems(schema as unknown as typeof PublicMessageDraft)
  const agrees = (input: unknown) => {
    const quick = plain(input)
    if (quick !== undefined) {
      assert.deepStrictEqual(decode(input), Either.right(quick as PublicMessageDraft))
    }
  }

  it.prop(
    "is accepted by the schema as well, and left as it is",
    [fc.oneof(nearly(drafts), fc.anything())],
    ([input]) => agrees(input),
  )

  it.each([
    ["inherited fields", Object.create({ owner_id: "1", username: "a", channel: "c", message: "m" })],
    ["an array", []],
    ["null", null],
    ["a text", "text"],
  ])("is not %s", (_, input) => {
    assert.isUndefined(plain(input))
  })

  it.prop("is every valid one of moderate size without an identity of its own", [drafts], ([draft]) => {
    const { message_id: _, authored_at: __, ...said } = draft
    const isModerate = Object.values(said).every((text) => text.length <= 24)
    if (isModerate) assert.deepStrictEqual(plain(said) as unknown, said)
  })
})
