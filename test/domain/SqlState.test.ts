import { assert, describe, it } from "@effect/vitest"
import { type Fault, faultOf } from "../../src/domain/SqlState.ts"

const table: Record<Fault, ReadonlyArray<string>> = {
  data: [
    "22000",
    "22001", // too long a text
    "22007", // no timestamp
    "22021", // U+0000
    "22P02", // no UUID
    "22P05",
    "23000",
    "23502", // a null
    "23505", // a duplicate
    "23514", // a failed check
    "54000", // too big for a tsvector index
    "54001", // nested too deeply
  ],
  misconfiguration: [
    "28000",
    "28P01", // wrong password
    "3D000", // no such database
    "3F000", // no such schema
    "42501", // no right
    "42601",
    "42703", // no such column
    "42P01", // no such table
    "42P10", // no unique constraint for the conflict target
  ],
  outage: [
    "08000",
    "08006",
    "08P01",
    "53000",
    "53100", // disk full
    "53200",
    "53300", // too many clients
    "57014", // statement timeout
    "57P01", // shutdown
    "57P02",
    "57P03", // starting up
    "58000",
    "58030",
    "40001", // serialization
    "40P01", // deadlock
    "55P03", // lock not available
    "25006", // read-only
    "25P03", // idle in transaction for too long
    "54011", // of class 54, but about columns, which no message has too many of
    "54023",
    // Classes that nothing is known of quarantine nothing.
    "0A000",
    "P0001",
    "XX000",
    "XX001",
    "99999",
    "2",
    "",
  ],
}

describe("faultOf", () => {
  it.each(Object.entries(table).flatMap(([fault, states]) => states.map((state) => [state, fault] as const)))(
    "%s is %s",
    (state, fault) => {
      assert.strictEqual(faultOf(state), fault)
    },
  )

  it("no answer is an outage", () => {
    assert.strictEqual(faultOf(undefined), "outage")
  })
})
