import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"
import * as fc from "fast-check"
import { Timestamp, timestampProblem } from "../../src/domain/Timestamp.ts"
import { decodeWithProblems } from "../../src/domain/Validation.ts"
import { timestampWithInstant } from "../support/arbitraries.ts"

const form = "must be an RFC 3339 timestamp with a zone, such as 2026-03-01T12:00:00.000Z"
const date = "must be a date that exists"
const time = "must be a time of day that exists"
const offset = "must have an offset of at most 15:59"
const range = "must lie within the years 1 to 9999, as written and in UTC"

describe("timestampProblem", () => {
  it.each([
    "2026-03-01T12:00:00Z",
    "2026-03-01T12:00:00.1Z",
    "2026-03-01T12:00:00.123456789Z",
    "2026-03-01t12:00:00z",
    "2026-03-01T12:00:00+02:00",
    "2026-03-01T12:00:00-00:00",
    "2026-03-01T12:00:00+15:59",
    "2026-03-01T12:00:00-15:59",
    "2026-03-01T23:59:59Z",
    "2026-01-31T00:00:00Z",
    "2026-04-30T00:00:00Z",
    "2026-12-31T00:00:00Z",
    "2024-02-29T00:00:00Z",
    "2000-02-29T00:00:00Z",
    "0004-02-29T00:00:00Z",
    "0050-06-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T15:59:00+15:59",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T08:00:59-15:59",
  ])("takes %s", (text) => {
    assert.isUndefined(timestampProblem(text))
  })

  it.each([
    ["", form],
    ["now", form],
    ["infinity", form],
    ["-infinity", form],
    ["epoch", form],
    ["today", form],
    ["02/03/2026", form],
    ["2026-03-01", form],
    ["2026-03-01T12:00:00", form],
    ["2026-03-01 12:00:00Z", form],
    ["2026-03-01T12:00Z", form],
    ["2026-03-01T12:00:00.Z", form],
    ["2026-03-01T12:00:00,5Z", form],
    ["2026-03-01T12:00:00.1234567890Z", form],
    ["2026-03-01T12:00:00+0200", form],
    ["2026-03-01T12:00:00+02", form],
    ["2026-03-01T12:00:00 Europe/Berlin", form],
    ["2026-3-1T12:00:00Z", form],
    ["26-03-01T12:00:00Z", form],
    ["+002026-03-01T12:00:00Z", form],
    ["-000001-03-01T12:00:00Z", form],
    ["10000-01-01T00:00:00Z", form],
    ["2026-W09-7T12:00:00Z", form],
    ["1772366400000", form],
    [" 2026-03-01T12:00:00Z", form],
    ["2026-03-01T12:00:00Z ", form],
    ["2026-03-01T12:00:00Z\n", form],
    ["2026-03-01T12:00:00Z\u0000", form],
    ["٢٠٢٦-03-01T12:00:00Z", form],
    ["2026-00-01T12:00:00Z", date],
    ["2026-13-01T12:00:00Z", date],
    ["2026-03-00T12:00:00Z", date],
    ["2026-03-32T12:00:00Z", date],
    ["2026-04-31T12:00:00Z", date],
    ["2026-06-31T12:00:00Z", date],
    ["2026-09-31T12:00:00Z", date],
    ["2026-11-31T12:00:00Z", date],
    ["2026-02-29T12:00:00Z", date],
    ["1900-02-29T12:00:00Z", date],
    ["2024-02-30T12:00:00Z", date],
    ["2026-03-01T24:00:00Z", time],
    ["2026-03-01T12:60:00Z", time],
    ["2026-06-30T23:59:60Z", time],
    ["2026-03-01T12:00:00+16:00", offset],
    ["2026-03-01T12:00:00-16:00", offset],
    ["2026-03-01T12:00:00+15:60", offset],
    ["2026-03-01T12:00:00+02:60", offset],
    ["0000-06-01T12:00:00Z", range],
    // The instant lies in the year 1, but PostgreSQL has no year 0 to read it from.
    ["0000-12-31T23:00:00-01:00", range],
    ["0001-01-01T00:00:00+00:01", range],
    ["0001-01-01T15:58:59+15:59", range],
    ["9999-12-31T23:59:00-00:01", range],
    ["9999-12-31T08:01:00-15:59", range],
  ])("refuses %j", (text, problem) => {
    assert.strictEqual(timestampProblem(text), problem)
  })

  it.prop(
    "takes every instant of the years 1 to 9999 in every form",
    [timestampWithInstant],
    ([{ text, instant }]) => {
      assert.isUndefined(timestampProblem(text))
      assert.strictEqual(Date.parse(text.toUpperCase()), instant)
    },
  )

  const digits = (length: number, maximum: number) =>
    fc.nat(maximum).map((value) => String(value).padStart(length, "0"))

  it.prop(
    "takes a date and time exactly when Date reads it back unchanged",
    [digits(4, 9999), digits(2, 13), digits(2, 32), digits(2, 25), digits(2, 61), digits(2, 61)],
    ([year, month, day, hour, minute, second]) => {
      const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`
      const read = new Date(`${local}.000Z`)
      const isUnchanged = !Number.isNaN(read.getTime()) && read.toISOString().startsWith(local)
      assert.strictEqual(timestampProblem(`${local}Z`) === undefined, isUnchanged && year !== "0000")
    },
    { fastCheck: { numRuns: 1000 } },
  )
})

describe("Timestamp", () => {
  it.prop("keeps what was written", [timestampWithInstant], ([{ text }]) => {
    assert.deepStrictEqual(decodeWithProblems(Timestamp)(text), Either.right(text))
    assert.strictEqual(Schema.encodeSync(Timestamp)(text), text)
  })

  it.each<[input: unknown, problem: string]>([
    ["now", form],
    [1_772_366_400_000, "must be a string"],
  ])("refuses %j", (input, problem) => {
    assert.deepStrictEqual(decodeWithProblems(Timestamp)(input), Either.left([{ field: "", problem }]))
  })
})
