/** The books have to find what they are for: each kind of error that a message can meet. */
import { assert, describe, it } from "@effect/vitest"
import * as Books from "./books.ts"

const id = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`

const claim = (number: number, told: Books.Told, unwelcome = false): [string, Books.Claim] => [
  `text ${number}`,
  { queue: "public", unwelcome, told, messageId: id(number) },
]

const row = (number: number): Books.Row => ({
  queue: "public",
  messageId: id(number),
  text: `text ${number}`,
})

const entry = (number: number): string =>
  JSON.stringify({ cache_id: number, data: { message_id: id(number), message: `text ${number}` } })

const refusal = (number: number): Books.Quarantined => ({
  queue: "public",
  raw: entry(number),
  reason: "refused_by_postgres",
})

const poison: Books.Poison = { queue: "private", raw: "not JSON" }
const rivals: Books.Rivals = { queue: "private", messageId: id(9), texts: ["text 9", "text ninth"] }

/** 1 accepted, 2 refused, 3 of unknown fate, 4 accepted and refused by a table, 9 twice with one id. */
const books = (): Books.Books => ({
  ...Books.open(),
  claims: new Map([
    claim(1, "accepted"),
    claim(2, "refused"),
    claim(3, "unknown"),
    claim(4, "accepted", true),
  ]),
  poison: [poison],
  rivals: [rivals],
})

const conflict: Books.Quarantined = { queue: "private", raw: entry(9), reason: "message_id_conflict" }

const right = {
  rows: [row(1), row(3), { ...row(9), queue: "private" }],
  quarantined: [refusal(4), { ...poison, reason: "invalid_json" }, conflict],
} satisfies Partial<Books.Findings>

const failing = (found: Partial<Books.Findings>, kept = books()): ReadonlyArray<string> => {
  const { rows, quarantined } = { ...right, ...found }
  const journal = { persisted: rows.length, quarantined: quarantined.length, deleted: 0 }
  const deletions = { all: 0, ofRows: 0 }
  return Books.check(kept, { queued: 0, shown: [], journal, deletions, rows, quarantined, ...found })
    .filter(({ problems }) => problems.length > 0)
    .map(({ name }) => name)
}

const accepted = "what was accepted is stored or quarantined exactly once"
const refused = "what was refused is nowhere"
const unknown = "what is unknown is there at most once"
const strange = "nothing else is stored, and everything under its id"
const oneOfTwo = "of two messages with one id one is stored and one quarantined"
const quarantine = "exactly what cannot be stored is quarantined, once"

describe("the books", () => {
  it("find nothing where everything is in its place", () => {
    assert.deepStrictEqual(failing({}), [])
    assert.deepStrictEqual(failing({ rows: right.rows.filter(({ text }) => text !== "text 3") }), [])
  })

  it("find what was accepted and is lost, stored twice, or both stored and quarantined", () => {
    assert.deepStrictEqual(failing({ rows: right.rows.slice(1) }), [accepted])
    assert.deepStrictEqual(failing({ rows: [...right.rows, row(1)] }), [accepted])
    assert.deepStrictEqual(failing({ rows: [...right.rows, row(4)] }), [accepted])
    assert.deepStrictEqual(failing({ quarantined: right.quarantined.slice(1) }), [accepted])
  })

  it("find what was refused and is stored, and what is unknown and stored twice", () => {
    assert.deepStrictEqual(failing({ rows: [...right.rows, row(2)] }), [refused])
    assert.deepStrictEqual(failing({ rows: [...right.rows, row(3)] }), [unknown])
  })

  it("find what nobody sent, what is in the wrong table, and what has another id", () => {
    assert.deepStrictEqual(failing({ rows: [...right.rows, row(5)] }), [strange])
    const [first, ...others] = right.rows
    assert.deepStrictEqual(failing({ rows: [{ ...first!, queue: "private" }, ...others] }), [strange])
    assert.deepStrictEqual(failing({ rows: [{ ...first!, messageId: id(7) }, ...others] }), [strange])
  })

  it("find a good message in the quarantine, and poison that is not there or twice", () => {
    assert.deepStrictEqual(failing({ quarantined: [...right.quarantined, refusal(3)] }), [quarantine])
    const without = right.quarantined.filter(({ raw }) => raw !== poison.raw)
    assert.deepStrictEqual(failing({ quarantined: without }), [quarantine])
    const twice = [...right.quarantined, { ...poison, reason: "invalid_json" }]
    assert.deepStrictEqual(failing({ quarantined: twice }), [quarantine])
  })

  it("find two messages with one id both stored, or one of them nowhere", () => {
    const both = [...right.rows, { ...row(9), queue: "private", text: "text ninth" } as const]
    assert.deepStrictEqual(failing({ rows: both }), [oneOfTwo])
    assert.deepStrictEqual(failing({ quarantined: right.quarantined.slice(0, 2) }), [oneOfTwo])
  })

  it("find what stays queued, and a journal that tells of something else", () => {
    assert.deepStrictEqual(failing({ queued: 1 }), ["both queues are empty"])
    assert.deepStrictEqual(failing({ journal: { persisted: 4, quarantined: 3, deleted: 0 } }), [
      "the journal tells of what is in the tables",
    ])
  })

  it("find what was deleted and is stored or shown, and miss nothing that may be deleted", () => {
    const deleted = (deletion: "attempted" | "confirmed"): Books.Books => {
      const kept = books()
      kept.claims.get("text 1")!.deletion = deletion
      return kept
    }
    const rows = right.rows.slice(1)
    const told = { deletions: { all: 1, ofRows: 1 }, journal: { persisted: 3, quarantined: 3, deleted: 1 } }
    assert.deepStrictEqual(failing({ rows, ...told }, deleted("confirmed")), [])
    assert.deepStrictEqual(failing({ rows, ...told }, deleted("attempted")), [])
    assert.deepStrictEqual(failing({}, deleted("attempted")), [])
    assert.deepStrictEqual(failing({}, deleted("confirmed")), ["what was deleted is not stored again"])
    const shown = ["text 1"]
    assert.deepStrictEqual(failing({ rows, shown, ...told }, deleted("confirmed")), [
      "what was deleted is not shown",
    ])
  })

  it("allow for what stood in a queue when Valkey's data was lost, and for nothing else", () => {
    const rows = right.rows.slice(1)
    const quarantined = right.quarantined.filter(({ raw }) => raw !== poison.raw)
    const lost = new Set(["text 1", poison.raw])
    assert.deepStrictEqual(failing({ rows, quarantined }, { ...books(), lost }), [])
    assert.deepStrictEqual(failing({ rows, quarantined }), [accepted, quarantine])
  })
})

it("what was accepted once stays accepted, and what may have been taken is never refused", () => {
  const tell = (...attempts: ReadonlyArray<Books.Told>) => {
    const [, kept] = claim(1, "refused")
    kept.told = undefined
    for (const told of attempts) Books.record(kept, told)
    return kept.told
  }
  assert.strictEqual(tell("unknown", "refused"), "unknown")
  assert.strictEqual(tell("refused", "unknown", "accepted", "refused", "unknown"), "accepted")
  assert.strictEqual(tell("refused", "refused"), "refused")
})
