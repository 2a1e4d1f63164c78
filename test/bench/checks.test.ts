/** What a benchmark must not pass over: figures of work that was not done, or done twice. */
import { assert, describe, it } from "vitest"
import { findProblem as findEndToEndProblem } from "../../bench/end-to-end/findProblem.ts"
import { findProblem as findFlushProblem } from "../../bench/flush/findProblem.ts"
import { findOtherProblem, findProblem as findPublishProblem } from "../../bench/publish/findProblem.ts"
import { entriesOf, makeDrafts, makeMessages } from "../../bench/support/messages.ts"

const size = { users: 2, textLength: 20 }

describe("publish", () => {
  const drafts = makeDrafts(5, size)
  const queue = entriesOf(drafts.map((draft, index) => ({ ...makeMessages(5, size)[index]!, ...draft })))
  const whole = { drafts, cacheIds: [1, 2, 3, 4, 5], queue, recent: queue.slice(-3), maxCacheSize: 3 }

  it("finds nothing wrong with every message queued once", () => {
    assert.isUndefined(findPublishProblem(whole))
  })

  it("finds a message that is lost, repeated or put in the place of another", () => {
    assert.match(findPublishProblem({ ...whole, queue: queue.slice(1) })!, /5 messages were accepted, 4 are/)
    assert.match(findPublishProblem({ ...whole, queue: [...queue.slice(1), queue[1]!] })!, /queued twice/)
    assert.match(findPublishProblem({ ...whole, cacheIds: [1, 2, 3, 4, 9] })!, /no caller was told/)
    assert.match(findPublishProblem({ ...whole, cacheIds: [2, 1, 3, 4, 5] })!, /is not the one that got it/)
  })

  it("finds a recent cache that is too long, too short or out of order", () => {
    for (const recent of [queue.slice(-4), queue.slice(-2), queue.slice(-3).toReversed()]) {
      assert.match(findPublishProblem({ ...whole, recent })!, /recent cache/)
    }
  })
})

describe("flush", () => {
  const messages = makeMessages(3, size)
  const rows = messages.map((message, index) => ({ ...message, cache_id: index + 1 }))
  const whole = { messages, rows, stillQueued: 0, quarantined: 0 }

  it("finds nothing wrong with every message stored once", () => {
    assert.isUndefined(findFlushProblem(whole))
  })

  it("finds a message that is lost, repeated, changed, queued or quarantined", () => {
    assert.match(findFlushProblem({ ...whole, rows: rows.slice(1) })!, /3 messages were queued, 2 are stored/)
    assert.match(findFlushProblem({ ...whole, rows: [rows[0]!, rows[1]!, rows[1]!] })!, /not what was queued/)
    assert.match(
      findFlushProblem({ ...whole, rows: [rows[0]!, { ...rows[1]!, message: "changed" }, rows[2]!] })!,
      /the row with the id 2 is not what was queued/,
    )
    assert.match(findFlushProblem({ ...whole, stillQueued: 1 })!, /still queued/)
    assert.match(findFlushProblem({ ...whole, quarantined: 1 })!, /quarantined/)
  })

  it("expects bad messages in the quarantine and the others in the table", () => {
    const oneBad = { ...whole, isBad: (index: number) => index === 1, rows: [rows[0]!, rows[2]!] }
    assert.isUndefined(findFlushProblem({ ...oneBad, quarantined: 1 }))
    assert.match(findFlushProblem(oneBad)!, /0 messages are quarantined, 1 are bad/)
    assert.match(findFlushProblem({ ...oneBad, quarantined: 1, rows })!, /2 messages were queued, 3 are/)
  })
})

describe("publish to a program by others", () => {
  const drafts = makeDrafts(2, size)
  const held = new Map(drafts.map(({ message }, index) => [`id-${index}`, message]))

  it("finds a message that is lost or in the place of another", () => {
    assert.isUndefined(findOtherProblem(drafts, ["id-0", "id-1"], held))
    assert.match(findOtherProblem(drafts, ["id-1", "id-0"], held)!, /is not the one that got it/)
    assert.match(
      findOtherProblem(drafts, ["id-0", "id-0"], new Map([["id-0", "Message 0"]]))!,
      /1 are queued/,
    )
  })
})

describe("end-to-end", () => {
  const drafts = makeDrafts(3, size)
  const rows = makeMessages(3, size).map((message, index) => ({ ...message, cache_id: index + 1 }))

  it("finds a message that is lost, stored twice or changed, and lets a loss pass only where it is announced", () => {
    assert.isUndefined(findEndToEndProblem(drafts, rows, false))
    assert.match(findEndToEndProblem(drafts, rows.slice(1), false)!, /3 messages were accepted, 2 are stored/)
    assert.isUndefined(findEndToEndProblem(drafts, rows.slice(1), true))
    assert.match(findEndToEndProblem(drafts, [...rows, rows[0]!], true)!, /stored twice/)
    assert.match(
      findEndToEndProblem(drafts, [{ ...rows[0]!, channel: "another" }], true)!,
      /is not what was published/,
    )
  })
})
