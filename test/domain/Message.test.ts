import { assert, describe, it } from "@effect/vitest"
import { Either, type Schema } from "effect"
import * as fc from "fast-check"
import {
  CacheId,
  MessageId,
  PrivateMessage,
  PrivateMessageDraft,
  PublicMessage,
  PublicMessageDraft,
} from "../../src/domain/Message.ts"
import { decodeWithProblems, type Problem } from "../../src/domain/Validation.ts"
import {
  anyText,
  privateMessage,
  privateMessageDraft,
  publicMessage,
  publicMessageDraft,
} from "../support/arbitraries.ts"

interface Kind {
  readonly kind: string
  readonly draft: Schema.Schema<any, any>
  readonly message: Schema.Schema<any, any>
  readonly drafts: fc.Arbitrary<object>
  readonly messages: fc.Arbitrary<object>
  readonly example: Record<string, string>
  readonly maximumCharacters: Record<string, number>
}

const kinds: ReadonlyArray<Kind> = [
  {
    kind: "public",
    draft: PublicMessageDraft,
    message: PublicMessage,
    drafts: publicMessageDraft,
    messages: publicMessage,
    example: { owner_id: "u-1", username: "Ada", channel: "general", message: "Hello" },
    maximumCharacters: { owner_id: 36, username: 64, channel: 24 },
  },
  {
    kind: "private",
    draft: PrivateMessageDraft,
    message: PrivateMessage,
    drafts: privateMessageDraft,
    messages: privateMessage,
    example: { owner_id: "u-1", username: "Ada", recipient_id: "u-2", recipient: "Bob", message: "Hello" },
    maximumCharacters: { owner_id: 36, username: 64, recipient_id: 36, recipient: 64 },
  },
]

const uuid = "0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11"
const uuidProblem = `must be a UUID such as ${uuid}`
const zeroCharacter = "must not contain the character U+0000, which PostgreSQL cannot store"
const loneSurrogate = "must be well-formed Unicode: it contains a lone surrogate"

const problemsOf = (schema: Schema.Schema<any, any>, input: unknown): ReadonlyArray<Problem> =>
  Either.match(decodeWithProblems(schema)(input), { onLeft: (problems) => problems, onRight: () => [] })

const taken = (schema: Schema.Schema<any, any>, input: unknown): unknown =>
  Either.getOrThrowWith(
    decodeWithProblems(schema)(input),
    (problems) => new Error(`refused: ${JSON.stringify(problems)}`),
  )

const inLowerCase = (message: object): object =>
  "message_id" in message ? { ...message, message_id: String(message.message_id).toLowerCase() } : message

describe.each(kinds)(
  "a $kind message",
  ({ draft, drafts, example, maximumCharacters, message, messages }) => {
    const textFields = Object.keys(example)
    const refuses = (input: unknown, problems: ReadonlyArray<Problem>) =>
      assert.deepStrictEqual(problemsOf(draft, input), problems)

    it.prop("a draft is taken as it was given, the message_id in lower case", [drafts], ([input]) => {
      assert.deepStrictEqual(taken(draft, input), inLowerCase(input))
    })

    it.prop("a message of the queue is taken as it stands there", [messages], ([input]) => {
      assert.deepStrictEqual(taken(message, input), input)
    })

    it.each(textFields)("a draft needs %s", (field) => {
      const { [field]: _, ...rest } = example
      refuses(rest, [{ field, problem: "is missing" }])
    })

    it.each(
      textFields.flatMap(
        (field): ReadonlyArray<[field: string, name: string, value: unknown, problem: string]> => [
          [field, "undefined", undefined, "must be a string"],
          [field, "null", null, "must be a string"],
          [field, "a number", 5, "must be a string"],
          [field, "a list", ["text"], "must be a string"],
          [field, "an object", { toString: () => "text" }, "must be a string"],
          [field, "no text", "", "must not be empty"],
          [field, "a text with U+0000", "te\u0000xt", zeroCharacter],
          [field, "a text with a lone surrogate", "te\ud83dxt", loneSurrogate],
        ],
      ),
    )("%s is not %s", (field, _, value, problem) => {
      refuses({ ...example, [field]: value }, [{ field, problem }])
    })

    it.each(Object.entries(maximumCharacters))("%s has at most %i characters", (field, maximum) => {
      taken(draft, { ...example, [field]: "😀".repeat(maximum) })
      taken(message, { ...example, [field]: "", message_id: uuid, authored_at: "2026-03-01T12:00:00Z" })
      const problem = `must be at most ${maximum} characters long`
      refuses({ ...example, [field]: "😀".repeat(maximum + 1) }, [{ field, problem }])
      refuses({ ...example, [field]: "x".repeat(maximum + 1) }, [{ field, problem }])
      assert.deepStrictEqual(
        problemsOf(message, {
          ...example,
          [field]: "x".repeat(maximum + 1),
          message_id: uuid,
          authored_at: "2026-03-01T12:00:00Z",
        }),
        [{ field, problem }],
      )
    })

    it.each([
      ["one byte", "x".repeat(65_536)],
      ["two bytes", "é".repeat(32_768)],
      ["three bytes", `${"€".repeat(21_845)}x`],
      ["four bytes", "😀".repeat(16_384)],
    ])("its text has at most 64 KiB, in characters of %s", (_, text) => {
      taken(draft, { ...example, message: text })
      const tooLong = { ...example, message: `${text}x` }
      refuses(tooLong, [{ field: "message", problem: "must be at most 65536 bytes long in UTF-8" }])
      // PostgreSQL stores it, so one that another program queued is not refused.
      taken(message, { ...tooLong, message_id: uuid, authored_at: "2026-03-01T12:00:00Z" })
    })

    it.each<[field: string, name: string, value: unknown, problem: string]>([
      ["message_id", "undefined", undefined, "must be a string"],
      ["message_id", "null", null, "must be a string"],
      ["message_id", "a number", 5, "must be a string"],
      ["message_id", "empty", "", uuidProblem],
      ["message_id", "in braces", `{${uuid}}`, uuidProblem],
      ["message_id", "without hyphens", uuid.replaceAll("-", ""), uuidProblem],
      ["message_id", "with a letter that is no digit", uuid.replace("c", "g"), uuidProblem],
      ["message_id", "followed by a line feed", `${uuid}\n`, uuidProblem],
      ["message_id", "after a line feed", `\n${uuid}`, uuidProblem],
      ["authored_at", "undefined", undefined, "must be a string"],
      ["authored_at", "null", null, "must be a string"],
      ["authored_at", "a Date", new Date(0), "must be a string"],
      [
        "authored_at",
        "now",
        "now",
        "must be an RFC 3339 timestamp with a zone, such as 2026-03-01T12:00:00.000Z",
      ],
    ])("%s is not %s", (field, _, value, problem) => {
      refuses({ ...example, [field]: value }, [{ field, problem }])
    })

    it("a field that is nested 100,000 levels deep is refused like any other", () => {
      const deep: unknown = JSON.parse("[".repeat(100_000) + "]".repeat(100_000))
      for (const field of [...textFields, "message_id", "authored_at"]) {
        refuses({ ...example, [field]: deep }, [{ field, problem: "must be a string" }])
      }
    })

    it("a message of the queue has its message_id and authored_at", () => {
      assert.deepStrictEqual(problemsOf(message, example), [
        { field: "message_id", problem: "is missing" },
        { field: "authored_at", problem: "is missing" },
      ])
    })

    it.each<[name: string, input: unknown]>([
      ["undefined", undefined],
      ["null", null],
      ["a text", "text"],
      ["a list", [example]],
    ])("%s is no message", (_, input) => {
      const problems = [{ field: "", problem: "must be an object" }]
      refuses(input, problems)
      assert.deepStrictEqual(problemsOf(message, input), problems)
    })

    it("every problem is reported at once", () => {
      const everyFieldEmpty = Object.fromEntries(textFields.map((field) => [field, ""]))
      refuses({ ...everyFieldEmpty, message_id: "", authored_at: 5 }, [
        ...textFields.map((field) => ({ field, problem: "must not be empty" })),
        { field: "message_id", problem: uuidProblem },
        { field: "authored_at", problem: "must be a string" },
      ])
    })

    it("unknown fields are dropped", () => {
      assert.deepStrictEqual(taken(draft, { ...example, admin: true, cache_id: 7 }), example)
    })

    it("a __proto__ key is an unknown field like any other", () => {
      const input = JSON.parse(`{"__proto__":{"admin":true},${JSON.stringify(example).slice(1)}`)
      const output = taken(draft, input) as { readonly admin?: unknown }
      assert.deepStrictEqual(Reflect.ownKeys(output), textFields)
      assert.strictEqual(Object.getPrototypeOf(output), Object.prototype)
      assert.isUndefined(output.admin)
    })

    it("a field within __proto__ is missing", () => {
      refuses(
        JSON.parse(`{"__proto__":${JSON.stringify(example)}}`),
        textFields.map((field) => ({ field, problem: "is missing" })),
      )
    })

    const secret = "the secret"
    const wrong = fc.oneof(
      fc.constantFrom<unknown>(null, [secret], { [secret]: secret }, "", Symbol(secret)),
      anyText.map((text) => `${secret}${text}`),
      anyText.map((text) => `${secret}${text}\u0000`),
      fc.constant(secret.repeat(10_000)),
    )

    it.prop(
      "no problem quotes what was said",
      [
        fc.record(
          Object.fromEntries([...textFields, "message_id", "authored_at"].map((field) => [field, wrong])),
        ),
      ],
      ([input]) => {
        const problems = [...problemsOf(draft, input), ...problemsOf(message, input)]
        assert.isNotEmpty(problems)
        assert.notInclude(JSON.stringify(problems), secret)
      },
    )
  },
)

describe("MessageId", () => {
  it.each([
    ["version 7", uuid],
    ["version 4", "f47ac10b-58cc-4372-a567-0e02b2c3d479"],
    ["no version at all", "00000000-0000-0000-0000-000000000000"],
    ["all ones", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
  ])("a UUID of %s is taken", (_, text) => {
    assert.strictEqual(taken(MessageId, text), text)
    assert.strictEqual(taken(MessageId, text.toUpperCase()), text)
  })
})

describe("CacheId", () => {
  it.each([0, 1, Number.MAX_SAFE_INTEGER])("takes %d", (value) => {
    assert.strictEqual(taken(CacheId, value), value)
  })

  it.each<[value: unknown, problem: string]>([
    [-1, "must be an integer from 0 to 2^53 - 1"],
    [1.5, "must be an integer from 0 to 2^53 - 1"],
    [2 ** 53, "must be an integer from 0 to 2^53 - 1"],
    [Number.NaN, "must be an integer from 0 to 2^53 - 1"],
    [Number.POSITIVE_INFINITY, "must be an integer from 0 to 2^53 - 1"],
    ["5", "must be a number"],
    [5n, "must be a number"],
    [null, "must be a number"],
  ])("refuses %s", (value, problem) => {
    assert.deepStrictEqual(problemsOf(CacheId, value), [{ field: "", problem }])
  })
})
