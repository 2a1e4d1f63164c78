import { Schema } from "effect"

const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/

const daysInMonth = (year: number, month: number): number => {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

const millisecondsOf = (parts: {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
}): number => {
  // Date.UTC reads the years 0 to 99 as 1900 to 1999, setUTCFullYear does not.
  const date = new Date(0)
  date.setUTCFullYear(parts.year, parts.month - 1, parts.day)
  date.setUTCHours(parts.hour, parts.minute, parts.second, 0)
  return date.getTime()
}

const firstInstant = millisecondsOf({ year: 1, month: 1, day: 1, hour: 0, minute: 0, second: 0 })
const lastInstant = millisecondsOf({ year: 9999, month: 12, day: 31, hour: 23, minute: 59, second: 59 })

/** PostgreSQL refuses a larger offset with SQLSTATE 22009, although RFC 3339 would allow 23:59. */
const greatestOffsetMinutes = 15 * 60 + 59

/**
 * What is wrong with a text as an RFC 3339 timestamp that PostgreSQL stores, or `undefined`.
 * Stricter than PostgreSQL, which also takes `now`, `infinity`, `02/03/2026`, `24:00` and dates without a zone.
 */
export const timestampProblem = (text: string): string | undefined => {
  const match = rfc3339.exec(text)
  if (match === null) return "must be an RFC 3339 timestamp with a zone, such as 2026-03-01T12:00:00.000Z"
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month))
    return "must be a date that exists"
  if (hour > 23 || minute > 59 || second > 59) return "must be a time of day that exists"
  const offsetHours = Number(match[8] ?? 0)
  const offsetMinutes = Number(match[9] ?? 0)
  const offset = offsetHours * 60 + offsetMinutes
  if (offsetMinutes > 59 || offset > greatestOffsetMinutes) return "must have an offset of at most 15:59"
  const local = millisecondsOf({ year, month, day, hour, minute, second })
  const instant = match[7] === "-" ? local + offset * 60_000 : local - offset * 60_000
  // PostgreSQL has no year 0, not even to read a timestamp from whose instant lies in the year 1.
  if (year === 0 || instant < firstInstant || instant > lastInstant)
    return "must lie within the years 1 to 9999, as written and in UTC"
  return undefined
}

/** An RFC 3339 timestamp with a zone in the years 1 to 9999, kept exactly as it was written. */
export const Timestamp = Schema.String.annotations({ message: () => "must be a string" }).pipe(
  Schema.filter((text) => timestampProblem(text) ?? true, {
    identifier: "Timestamp",
    jsonSchema: { type: "string", format: "date-time" },
  }),
)
