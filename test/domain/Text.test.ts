import { assert, describe, it } from "@effect/vitest"
import { Either, type Schema } from "effect"
import {
  byteLength,
  characterCount,
  nonEmpty,
  storableCharacters,
  StorableText,
} from "../../src/domain/Text.ts"
import { decodeWithProblems } from "../../src/domain/Validation.ts"
import { anyText, storableText } from "../support/arbitraries.ts"

const problemsOf = (schema: Schema.Schema<string, string>, input: unknown): ReadonlyArray<string> =>
  Either.match(decodeWithProblems(schema)(input), {
    onLeft: (problems) => problems.map(({ problem }) => problem),
    onRight: (text) => {
      assert.strictEqual(text, input)
      return []
    },
  })

describe("characterCount", () => {
  it.each([
    ["no text", "", 0],
    ["ASCII", "hello", 5],
    ["a letter of two bytes", "é", 1],
    ["a letter and its combining accent", "e\u0301", 2],
    ["an astral character", "😀", 1],
    ["an astral character between others", "a😀b", 3],
    ["a family of four, joined", "👩‍👩‍👧‍👦", 7],
    ["a lone high surrogate", "\ud83d", 1],
    ["a lone high surrogate before a letter", "\ud83da", 2],
    ["two high surrogates", "\ud83d\ud83d", 2],
    ["a high surrogate before a pair", "\ud83d😀", 2],
    ["a pair the wrong way round", "\ude00\ud83d", 2],
  ])("%s", (_, text, expected) => {
    assert.strictEqual(characterCount(text), expected)
  })

  it.prop(
    "counts code points, and a lone surrogate as the one character that would replace it",
    [anyText],
    ([text]) => {
      assert.strictEqual(characterCount(text), [...text].length)
      assert.strictEqual(characterCount(text), characterCount(text.toWellFormed()))
    },
  )
})

it.prop("byteLength is the size in UTF-8", [storableText(100)], ([text]) => {
  assert.strictEqual(byteLength(text), Buffer.byteLength(text, "utf8"))
})

const zeroCharacter = "must not contain the character U+0000, which PostgreSQL cannot store"
const loneSurrogate = "must be well-formed Unicode: it contains a lone surrogate"

describe("StorableText", () => {
  it.each<[name: string, input: unknown, problems: ReadonlyArray<string>]>([
    ["no text", "", []],
    ["a control character", "\u0001", []],
    ["an astral character", "😀", []],
    ["a noncharacter", "\uffff", []],
    ["the escape of U+0000", "\\u0000", []],
    ["U+0000 alone", "\u0000", [zeroCharacter]],
    ["U+0000 at the end", "text\u0000", [zeroCharacter]],
    ["a lone high surrogate at the end", "text\ud83d", [loneSurrogate]],
    ["a lone low surrogate at the start", "\ude00text", [loneSurrogate]],
    ["a number", 5, ["must be a string"]],
    ["null", null, ["must be a string"]],
    ["a String object", Object("text"), ["must be a string"]],
  ])("%s", (_, input, problems) => {
    assert.deepStrictEqual(problemsOf(StorableText, input), problems)
  })
})

describe("storableCharacters", () => {
  it.each<[name: string, input: string, problems: ReadonlyArray<string>]>([
    ["24 letters", "x".repeat(24), []],
    ["24 emoji", "😀".repeat(24), []],
    ["25 letters", "x".repeat(25), ["must be at most 24 characters long"]],
    ["25 emoji", "😀".repeat(25), ["must be at most 24 characters long"]],
    ["24 letters and a space", `${"x".repeat(24)} `, ["must be at most 24 characters long"]],
    ["too long and with U+0000", `${"x".repeat(25)}\u0000`, [zeroCharacter]],
  ])("%s", (_, input, problems) => {
    assert.deepStrictEqual(problemsOf(storableCharacters(24), input), problems)
  })

  it.prop("takes exactly what varchar(8) stores unchanged", [anyText], ([text]) => {
    const isStorable = !/\0|\p{Surrogate}/u.test(text) && [...text].length <= 8
    assert.strictEqual(problemsOf(storableCharacters(8), text).length === 0, isStorable)
  })
})

it("nonEmpty refuses no text, and takes a space", () => {
  assert.deepStrictEqual(problemsOf(nonEmpty(StorableText), ""), ["must not be empty"])
  assert.deepStrictEqual(problemsOf(nonEmpty(StorableText), " "), [])
})
