import { Schema } from "effect"

/**
 * Number of characters as PostgreSQL counts them for `varchar(n)`: Unicode code points, not UTF-16 units.
 * A lone surrogate counts as one, like the U+FFFD that encoding makes of it.
 */
export const characterCount = (text: string): number => {
  let count = 0
  for (let index = 0; index < text.length; index++) {
    if (text.codePointAt(index)! > 0xffff) index++
    count++
  }
  return count
}

const encoder = new TextEncoder()

/** Size of a well-formed text in UTF-8, in bytes. */
export const byteLength = (text: string): number => encoder.encode(text).length

const storableProblem = (text: string): string | undefined => {
  if (text.includes("\u0000")) return "must not contain the character U+0000, which PostgreSQL cannot store"
  if (!text.isWellFormed()) return "must be well-formed Unicode: it contains a lone surrogate"
  return undefined
}

/**
 * Any text that a PostgreSQL `text` column stores unchanged: no U+0000 and no lone surrogate.
 * Messages of these schemas never quote the value, because it may be what somebody said in private.
 */
export const StorableText = Schema.String.annotations({ message: () => "must be a string" }).pipe(
  Schema.filter((text) => storableProblem(text) ?? true, { identifier: "StorableText" }),
)

/** Text for a `varchar(maximum)` column. */
export const storableCharacters = (maximum: number) =>
  StorableText.pipe(
    Schema.filter(
      (text) =>
        text.length <= maximum ||
        characterCount(text) <= maximum ||
        `must be at most ${maximum} characters long`,
      { jsonSchema: { maxLength: maximum } },
    ),
  )

/** What a publisher must not leave empty. */
export const nonEmpty = <S extends Schema.Schema<string, string>>(schema: S) =>
  schema.pipe(
    Schema.filter((text) => text.length > 0 || "must not be empty", { jsonSchema: { minLength: 1 } }),
  )
