import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type * as fc from "fast-check"
import { Event, RecordedEvent } from "../../src/domain/Event.ts"
import { eventArbitraries } from "../support/arbitraries.ts"

const encode = Schema.encodeSync(Event)
const decode = Schema.decodeUnknownSync(Event)

const message_id = "0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11"

/** As the journal has kept them from the first version on. What stands there once must be read for ever. */
const journal: { readonly [Tag in Event["_tag"]]: object } = {
  BatchPersisted: {
    _tag: "BatchPersisted",
    queue: "public",
    trigger: "interval",
    first_cache_id: 1,
    last_cache_id: null,
    persisted: 3,
    duplicates: 2,
    quarantined: 1,
    deleted: 4,
    duration_ms: 1.5,
  },
  MessageQuarantined: {
    _tag: "MessageQuarantined",
    queue: "private",
    quarantine_id: 1,
    cache_id: null,
    reason: "refused_by_postgres",
    sqlstate: "22001",
  },
  QuarantineReplayed: {
    _tag: "QuarantineReplayed",
    queue: "public",
    quarantine_id: 1,
    message_id,
    corrected: true,
  },
  QuarantineDiscarded: { _tag: "QuarantineDiscarded", queue: "private", quarantine_id: 1 },
  MessageDeleted: { _tag: "MessageDeleted", queue: "private", message_id, removed_row: true },
  MessagesImported: {
    _tag: "MessagesImported",
    queue: "public",
    source: "chatserver.chat_messages",
    persisted: 3,
    quarantined: 0,
  },
  RateLimitChanged: { _tag: "RateLimitChanged", message_limit: 10, window_seconds: 60 },
  CounterReseeded: { _tag: "CounterReseeded", queue: "public", from: null, to: 9_007_199_254_740_991 },
  FlushFailed: {
    _tag: "FlushFailed",
    queue: "private",
    reason: "connection refused",
    attempts: 4,
    started_at: "2026-03-01T12:00:00.000Z",
    duration_ms: 900,
  },
  FlushRecovered: { _tag: "FlushRecovered", queue: "public" },
  DaemonStarted: { _tag: "DaemonStarted", instance_id: message_id, version: "0.1.0" },
  DaemonStopped: {
    _tag: "DaemonStopped",
    instance_id: message_id,
    public_remaining: 0,
    private_remaining: null,
  },
}

describe.each(Object.entries<fc.Arbitrary<Event>>(eventArbitraries))("%s", (tag, arbitrary) => {
  it.prop("survives the journal", [arbitrary], ([happened]) => {
    const read = decode(JSON.parse(JSON.stringify(encode(happened))))
    assert.deepStrictEqual(read, happened)
    assert.strictEqual(read.constructor, happened.constructor)
  })

  it("is read as it was written", () => {
    const written = journal[tag as Event["_tag"]]
    assert.deepStrictEqual<object>(encode(decode(written)), written)
  })
})

it("an unknown event is not read as another", () => {
  assert.throws(() => decode({ ...journal.FlushRecovered, _tag: "FlushCelebrated" }))
})

it("every reason and trigger of the journal is known", () => {
  const reasons = [
    "invalid_utf8",
    "invalid_json",
    "wrong_shape",
    "refused_by_postgres",
    "message_id_conflict",
  ]
  for (const reason of reasons) decode({ ...journal.MessageQuarantined, reason })
  const triggers = ["threshold", "interval", "request", "retry", "drain"]
  for (const trigger of triggers) decode({ ...journal.BatchPersisted, trigger })
})

it("a batch of a version that could not delete had no deleted message in it", () => {
  const { deleted: _, ...earlier } = journal.BatchPersisted as Record<string, unknown>
  assert.deepInclude(decode(earlier), { quarantined: 1, deleted: 0 })
})

it.each(["persisted", "duplicates", "quarantined", "deleted", "duration_ms"])(
  "%s of a batch is not negative",
  (field) => {
    assert.throws(() => decode({ ...journal.BatchPersisted, [field]: -1 }))
  },
)

it("a recorded event has its position and time", () => {
  const recorded = { position: 7, recorded_at: "2026-03-01T12:00:00.000Z", event: journal.FlushRecovered }
  const read = Schema.decodeUnknownSync(RecordedEvent)(recorded)
  assert.deepStrictEqual(read, { ...recorded, event: decode(journal.FlushRecovered) })
})
