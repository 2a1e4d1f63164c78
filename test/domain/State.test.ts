import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { Event } from "../../src/domain/Event.ts"
import { type QueueName, queueNames } from "../../src/domain/Message.ts"
import { evolveLedger, initialLedger } from "../../src/domain/Ledger.ts"
import { evolve, initialState, type State } from "../../src/domain/State.ts"
import { event } from "../support/arbitraries.ts"

const journal = fc.array(event, { maxLength: 30 })

const fold = (events: ReadonlyArray<Event>): State => events.reduce(evolve, initialState)

const ofQueue = (events: ReadonlyArray<Event>, queue: QueueName) =>
  events.filter((happened) => "queue" in happened && happened.queue === queue)

const tagged = <Tag extends Event["_tag"]>(events: ReadonlyArray<Event>, tag: Tag) =>
  events.filter((happened): happened is Extract<Event, { readonly _tag: Tag }> => happened._tag === tag)

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, next) => total + next, 0)

describe("the state", () => {
  it.prop("of each queue is the sum over its own events", [journal], ([events]) => {
    const state = fold(events)
    for (const queue of queueNames) {
      const own = ofQueue(events, queue)
      const batches = tagged(own, "BatchPersisted")
      const quarantined = tagged(own, "MessageQuarantined").length
      const replayed = tagged(own, "QuarantineReplayed").length
      const discarded = tagged(own, "QuarantineDiscarded").length
      assert.deepStrictEqual(state.queues[queue], {
        flush: {
          batches: batches.length,
          persisted: sum(batches.map(({ persisted }) => persisted)),
          duplicates: sum(batches.map(({ duplicates }) => duplicates)),
          quarantined: sum(batches.map((batch) => batch.quarantined)),
          deleted: sum(batches.map(({ deleted }) => deleted)),
          outages: tagged(own, "FlushFailed").length,
          lastBatch: batches.at(-1) ?? null,
        },
        quarantine: { open: quarantined - replayed - discarded, replayed, discarded },
        reseeds: tagged(own, "CounterReseeded").length,
        ledger: own.reduce(evolveLedger, initialLedger),
      })
    }
  })

  it.prop("has the rate limit that was decided last", [journal], ([events]) => {
    const last = tagged(events, "RateLimitChanged").at(-1)
    assert.deepStrictEqual(
      fold(events).rateLimit,
      last && { message_limit: last.message_limit, window_seconds: last.window_seconds },
    )
  })

  it.prop("does not depend on how the events of different queues are interleaved", [journal], ([events]) => {
    const sorted = [
      ...events.filter((happened) => !("queue" in happened)),
      ...ofQueue(events, "private"),
      ...ofQueue(events, "public"),
    ]
    assert.deepStrictEqual(fold(sorted), fold(events))
  })

  it.prop("before an event stays as it was", [journal, event], ([events, next]) => {
    const before = fold(events)
    const copy = structuredClone(before)
    evolve(before, next)
    assert.deepStrictEqual(structuredClone(before), copy)
  })
})
