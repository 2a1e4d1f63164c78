import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "fast-check"
import { BooksOutOfBalance } from "../../src/domain/Errors.ts"
import {
  BatchPersisted,
  type Event,
  FlushFailed,
  FlushRecovered,
  FlushTrigger,
  MessageQuarantined,
  QuarantineReason,
} from "../../src/domain/Event.ts"
import {
  type BatchReport,
  flushDecider,
  type FlushTotals,
  type OutageReport,
} from "../../src/domain/Flush.ts"
import { cacheId, event, queueName, storableText, timestamp } from "../support/arbitraries.ts"

const { decide, evolve, initial } = flushDecider

const count = fc.nat(2000)
const cacheIdOrNull = fc.option(cacheId, { nil: null })

const balanced: fc.Arbitrary<BatchReport> = fc
  .record({
    queue: queueName,
    trigger: fc.constantFrom(...FlushTrigger.literals),
    firstCacheId: cacheIdOrNull,
    lastCacheId: cacheIdOrNull,
    persisted: count,
    duplicates: count,
    quarantined: fc.array(
      fc.record({
        quarantineId: fc.integer({ min: 1, max: 1_000_000 }),
        cacheId: cacheIdOrNull,
        reason: fc.constantFrom(...QuarantineReason.literals),
        sqlstate: fc.constantFrom(null, "22001", "23514"),
      }),
    ),
    deleted: count,
    durationMs: count,
  })
  .map((report) => ({
    ...report,
    _tag: "RecordBatch",
    entries: report.persisted + report.duplicates + report.quarantined.length + report.deleted,
  }))

const outage: fc.Arbitrary<OutageReport> = fc.record({
  _tag: fc.constant("RecordOutage"),
  queue: queueName,
  reason: storableText(100),
  attempts: count,
  startedAt: timestamp,
  durationMs: count,
})

const accept = (command: BatchReport | OutageReport): ReadonlyArray<Event> =>
  Either.getOrThrow(decide(command))

describe("flushDecider.decide", () => {
  it("records a batch: what is quarantined, in order, and then the whole", () => {
    assert.deepStrictEqual(
      accept({
        _tag: "RecordBatch",
        queue: "private",
        trigger: "threshold",
        entries: 10,
        firstCacheId: 11,
        lastCacheId: 19,
        persisted: 4,
        duplicates: 3,
        quarantined: [
          { quarantineId: 1, cacheId: 12, reason: "refused_by_postgres", sqlstate: "22001" },
          { quarantineId: 2, cacheId: null, reason: "invalid_utf8", sqlstate: null },
        ],
        deleted: 1,
        durationMs: 5,
      }),
      [
        new MessageQuarantined({
          queue: "private",
          quarantine_id: 1,
          cache_id: 12,
          reason: "refused_by_postgres",
          sqlstate: "22001",
        }),
        new MessageQuarantined({
          queue: "private",
          quarantine_id: 2,
          cache_id: null,
          reason: "invalid_utf8",
          sqlstate: null,
        }),
        new BatchPersisted({
          queue: "private",
          trigger: "threshold",
          first_cache_id: 11,
          last_cache_id: 19,
          persisted: 4,
          duplicates: 3,
          quarantined: 2,
          deleted: 1,
          duration_ms: 5,
        }),
      ],
    )
  })

  it("records an outage when it is over: that it was, and that it is over", () => {
    const startedAt = "2026-03-01T12:00:00.000Z"
    assert.deepStrictEqual(
      accept({
        _tag: "RecordOutage",
        queue: "public",
        reason: "refused",
        attempts: 3,
        startedAt,
        durationMs: 900,
      }),
      [
        new FlushFailed({
          queue: "public",
          reason: "refused",
          attempts: 3,
          started_at: startedAt,
          duration_ms: 900,
        }),
        new FlushRecovered({ queue: "public" }),
      ],
    )
  })

  it.prop("takes every batch whose books balance", [balanced], ([report]) => {
    const events = accept(report)
    const [batch, ...others] = events.filter((happened) => happened._tag === "BatchPersisted")
    assert.lengthOf(others, 0)
    assert.strictEqual(
      batch!.persisted + batch!.duplicates + batch!.quarantined + batch!.deleted,
      report.entries,
    )
    assert.strictEqual(batch!.quarantined, events.length - 1)
    assert.isTrue(events.every((happened) => "queue" in happened && happened.queue === report.queue))
  })

  it.prop(
    "refuses every batch whose books do not balance",
    [balanced, fc.integer({ min: -2000, max: 2000 }).filter((error) => error !== 0)],
    ([report, error]) => {
      const { queue, entries: accounted } = report
      assert.deepStrictEqual(
        decide({ ...report, entries: accounted + error }),
        Either.left(new BooksOutOfBalance({ queue, entries: accounted + error, accounted })),
      )
    },
  )
})

describe("flushDecider.evolve", () => {
  it.prop(
    "what was recorded adds up, and the last batch is remembered",
    [fc.array(fc.oneof(balanced, outage))],
    ([reports]) => {
      const batches = reports.filter((report) => report._tag === "RecordBatch")
      const sum = (of: (report: BatchReport) => number) =>
        batches.reduce((total, report) => total + of(report), 0)
      const lastBatch = batches.at(-1)
      const expected: FlushTotals = {
        batches: batches.length,
        persisted: sum(({ persisted }) => persisted),
        duplicates: sum(({ duplicates }) => duplicates),
        quarantined: sum(({ quarantined }) => quarantined.length),
        deleted: sum(({ deleted }) => deleted),
        outages: reports.length - batches.length,
        lastBatch: lastBatch === undefined ? null : (accept(lastBatch).at(-1) as BatchPersisted),
      }
      assert.deepStrictEqual(reports.flatMap(accept).reduce(evolve, initial), expected)
    },
  )

  it.prop("knows batches and outages alone", [event], ([happened]) => {
    if (happened._tag !== "BatchPersisted" && happened._tag !== "FlushFailed") {
      assert.deepStrictEqual(evolve(initial, happened), initial)
    }
  })
})
