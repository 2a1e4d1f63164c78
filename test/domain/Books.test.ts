import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { queueBooks, type QueueStanding } from "../../src/domain/Books.ts"
import { BatchPersisted, type Event, MessageQuarantined, QuarantineReplayed } from "../../src/domain/Event.ts"
import { evolve, initialState } from "../../src/domain/State.ts"
import { entryOf } from "../support/arbitraries.ts"

/** An entry of the queue; without an id it is none of ours. */
interface Queued {
  readonly id: number | null
  readonly kind: "new" | "sent again" | "conflict" | "deleted"
}

/** A queue, a counter and a journal, which do what the servers do. */
class Simulation {
  counter = 0
  queue: Array<Queued> = []
  readonly journal: Array<Event> = []
  readonly settled = new Set<Queued>()
  private quarantineId = 0
  private committed = 0

  publish(kinds: ReadonlyArray<Queued["kind"]>) {
    for (const kind of kinds) this.queue.push({ id: ++this.counter, kind })
  }

  pushPoison() {
    this.queue.push({ id: null, kind: "new" })
  }

  /** One batch, without its acknowledgement. */
  commit(limit: number) {
    const batch = this.queue.slice(0, limit)
    if (batch.length === 0) return
    const fresh = batch.filter((entry) => !this.settled.has(entry))
    const isBad = ({ id, kind }: Queued) => id === null || kind === "conflict"
    const bad = fresh.filter(isBad)
    const persisted = fresh.filter((entry) => !isBad(entry) && entry.kind === "new").length
    // They count as deleted again when they are read again.
    const deleted = batch.filter((entry) => entry.kind === "deleted").length
    for (const { id } of bad) {
      this.journal.push(
        new MessageQuarantined({
          queue: "public",
          quarantine_id: ++this.quarantineId,
          cache_id: id,
          reason: id === null ? "invalid_json" : "message_id_conflict",
          sqlstate: null,
        }),
      )
    }
    const ids = batch.flatMap(({ id }) => (id === null ? [] : [id]))
    this.journal.push(
      new BatchPersisted({
        queue: "public",
        trigger: "interval",
        first_cache_id: ids[0] ?? null,
        last_cache_id: ids.at(-1) ?? null,
        persisted,
        duplicates: batch.length - persisted - bad.length - deleted,
        quarantined: bad.length,
        deleted,
        duration_ms: 1,
      }),
    )
    for (const entry of batch) this.settled.add(entry)
    this.committed = Math.max(this.committed, batch.length)
  }

  acknowledge() {
    this.queue = this.queue.slice(this.committed)
    this.committed = 0
  }

  replay() {
    this.journal.push(
      new QuarantineReplayed({
        queue: "public",
        quarantine_id: ++this.quarantineId,
        message_id: "0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11",
        corrected: true,
        added_row: true,
        took_cache_id: true,
      }),
    )
    this.counter++
  }

  /** Valkey forgets its queue; the counter is restored from what the process has seen. */
  wipe() {
    const lost = this.queue.filter((entry) => entry.id !== null && !this.settled.has(entry)).length
    this.queue = []
    this.committed = 0
    return lost
  }

  get standing(): QueueStanding {
    const [head] = this.queue
    return {
      length: this.queue.length,
      head: head && (head.id === null ? Buffer.from("poison") : entryOf(head.id, "{}")),
      lastCacheId: this.counter,
    }
  }

  get state() {
    return this.journal.reduce(evolve, initialState).queues.public
  }
}

const kind: fc.Arbitrary<Queued["kind"]> = fc.oneof(
  { weight: 5, arbitrary: fc.constant("new" as const) },
  fc.constantFrom("sent again" as const, "conflict" as const, "deleted" as const),
)

type Step = (simulation: Simulation) => void

const publishing: fc.Arbitrary<Step> = fc
  .array(kind, { minLength: 1, maxLength: 5 })
  .map((kinds) => (simulation) => simulation.publish(kinds))
const committing: fc.Arbitrary<Step> = fc
  .integer({ min: 1, max: 12 })
  .map((limit) => (simulation) => simulation.commit(limit))
const acknowledging = fc.constant<Step>((simulation) => simulation.acknowledge())
const flushing = committing.map((commit): Step => (simulation) => {
  commit(simulation)
  simulation.acknowledge()
})

/** The books begin with the first batch. */
const begun = () => {
  const simulation = new Simulation()
  simulation.publish(["new"])
  simulation.commit(1)
  simulation.acknowledge()
  return simulation
}

describe("the books of a queue", () => {
  it.prop(
    "balance at every moment, also between COMMIT and acknowledgement and when a batch is read again",
    [fc.array(fc.oneof(publishing, committing, acknowledging, flushing), { maxLength: 40 })],
    ([steps]) => {
      const simulation = new Simulation()
      let accepted = 0
      for (const step of steps) {
        const before = simulation.counter
        step(simulation)
        accepted += simulation.counter - before
        const books = queueBooks(simulation.state, simulation.standing)
        assert.isNull(books.difference)
        assert.isTrue(books.balanced)
        assert.strictEqual(
          books.queued,
          simulation.queue.filter((entry) => !simulation.settled.has(entry)).length,
        )
        if (simulation.journal.length > 0) assert.strictEqual(books.accepted, accepted)
      }
    },
  )

  it.prop(
    "balance when the queue was read at any moment before the journal",
    [fc.array(fc.oneof(publishing, committing, acknowledging, flushing), { maxLength: 40 }), fc.nat(40)],
    ([steps, early]) => {
      const simulation = begun()
      let standing = simulation.standing
      for (const [index, step] of steps.entries()) {
        step(simulation)
        if (index <= early) standing = simulation.standing
      }
      assert.isNull(queueBooks(simulation.state, standing).difference)
    },
  )

  it.prop(
    "balance with what is none of ours, once it is quarantined, and with the ids that replays take",
    [
      fc.array(
        fc.oneof(
          publishing,
          fc.constantFrom<Step>((s) => s.pushPoison()),
          flushing,
        ),
        { maxLength: 40 },
      ),
    ],
    ([steps]) => {
      const simulation = begun()
      for (const step of steps) step(simulation)
      simulation.commit(1000)
      simulation.acknowledge()
      const { foreign } = queueBooks(simulation.state, simulation.standing)
      for (let replayed = 0; replayed < foreign; replayed++) simulation.replay()
      const books = queueBooks(simulation.state, simulation.standing)
      assert.isNull(books.difference)
      assert.strictEqual(books.quarantine.replayed, foreign)
    },
  )

  it.prop(
    "name what Valkey has lost, before the next flush and for ever after",
    [fc.array(fc.oneof(publishing, flushing), { maxLength: 30 }), fc.integer({ min: 1, max: 9 })],
    ([steps, unflushed]) => {
      const simulation = begun()
      for (const step of steps) step(simulation)
      simulation.publish(Array.from({ length: unflushed }, () => "new"))
      const lastOne = simulation.counter
      const lost = simulation.wipe()
      const expected = { lost, balanced: false }
      const named = new RegExp(`^${lost} accepted messages .*(id|to) ${lastOne}\\b`)
      assert.deepInclude(queueBooks(simulation.state, simulation.standing), expected)
      assert.match(queueBooks(simulation.state, simulation.standing).difference!, named)
      simulation.publish(["new", "new"])
      assert.deepInclude(queueBooks(simulation.state, simulation.standing), expected)
      simulation.commit(10)
      simulation.acknowledge()
      assert.deepInclude(queueBooks(simulation.state, simulation.standing), expected)
      assert.match(queueBooks(simulation.state, simulation.standing).difference!, named)
    },
  )

  it("do not call lost what stands behind an old entry that somebody has queued by hand", () => {
    const simulation = begun()
    simulation.publish(["new", "new", "new"])
    simulation.commit(10)
    simulation.acknowledge()
    simulation.queue.push({ id: 1, kind: "sent again" })
    simulation.publish(["new", "new"])
    assert.strictEqual(queueBooks(simulation.state, simulation.standing).lost, 0)
  })

  it("say that another program has queued what no id was given for", () => {
    const simulation = begun()
    simulation.queue.push({ id: 2, kind: "new" })
    simulation.commit(1)
    simulation.acknowledge()
    simulation.counter = 1
    const state = simulation.state
    const standing = { length: 0, head: undefined, lastCacheId: 2 }
    assert.isTrue(queueBooks(state, standing).balanced)
    simulation.publish(["new"])
    simulation.commit(1)
    simulation.acknowledge()
    const books = queueBooks(simulation.state, { ...standing, lastCacheId: simulation.counter })
    assert.deepInclude(books, { balanced: false, lost: 0 })
    assert.match(books.difference!, /^1 entries more than ids were given .*another program/)
  })

  it("say nothing of balance while a server cannot be asked", () => {
    const books = queueBooks(begun().state, undefined)
    assert.deepInclude(books, { accepted: null, queued: null, balanced: null, difference: null, stored: 1 })
  })
})
