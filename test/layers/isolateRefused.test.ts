import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Either } from "effect"
import * as fc from "fast-check"
import { RowsRefused, SchemaSuspected } from "../../src/domain/Errors.ts"
import type { QueueName } from "../../src/domain/Message.ts"
import { isolateRefused } from "../../src/layers/isolateRefused.ts"
import { queueName } from "../support/arbitraries.ts"

interface Row {
  readonly id: number
  /** Set when the row cannot be stored. */
  readonly refusal?: RowsRefused
}

const idsOf = (rows: ReadonlyArray<Row>) => rows.map(({ id }) => id)

class ConnectionLost extends Data.TaggedError("ConnectionLost") {}

const rowsOf = (pattern: ReadonlyArray<boolean>): ReadonlyArray<Row> =>
  pattern.map((isBad, id) =>
    isBad ? { id, refusal: new RowsRefused({ reason: `row ${id}`, sqlstate: "22001" }) } : { id },
  )

/** A table that takes all rows of an insertion or, when one of them is bad, none. */
const table = () => {
  const stored: Array<Row> = []
  let insertions = 0
  const insert = (rows: ReadonlyArray<Row>): Effect.Effect<number, RowsRefused> =>
    Effect.suspend(() => {
      insertions++
      const refusal = rows.find((row) => row.refusal !== undefined)?.refusal
      if (refusal !== undefined) return Effect.fail(refusal)
      stored.push(...rows)
      return Effect.succeed(rows.length)
    })
  return { insert, stored, insertions: () => insertions }
}

/** From no bad row to nothing else, in batches of up to 200. */
const pattern: fc.Arbitrary<ReadonlyArray<boolean>> = fc
  .tuple(fc.nat(200), fc.nat(100))
  .chain(([length, percentBad]) =>
    fc.array(
      fc.nat(99).map((value) => value < percentBad),
      { minLength: length, maxLength: length },
    ),
  )

const isSuspicious = (pattern: ReadonlyArray<boolean>): boolean =>
  pattern.length >= 20 && pattern.filter((isBad) => isBad).length > pattern.length / 2

/** For properties: nothing here is asynchronous, and a runtime per run costs more than the run. */
const isolateSync = (
  pattern: ReadonlyArray<boolean>,
  insert: (rows: ReadonlyArray<Row>) => Effect.Effect<number, RowsRefused | ConnectionLost>,
  queue: QueueName = "public",
) => Effect.runSync(Effect.either(isolateRefused(queue, rowsOf(pattern), insert)))

describe("isolateRefused", () => {
  it.prop(
    "finds exactly the bad rows, and inserts exactly the good ones, in order",
    [pattern.filter((pattern) => !isSuspicious(pattern))],
    ([pattern]) => {
      const { insert, insertions, stored } = table()
      const { refused, reports } = Either.getOrThrow(isolateSync(pattern, insert))
      const bad = pattern.flatMap((isBad, id) => (isBad ? [id] : []))
      const good = pattern.flatMap((isBad, id) => (isBad ? [] : [id]))
      assert.deepStrictEqual(
        refused.map(({ row, error }) => [row.id, error.reason]),
        bad.map((id) => [id, `row ${id}`]),
      )
      assert.deepStrictEqual(idsOf(stored), good)
      assert.deepStrictEqual(idsOf(reports.flatMap(({ rows }) => rows)), good)
      assert.isTrue(reports.every(({ report, rows }) => report === rows.length))
      const most = 1 + 2 * bad.length * Math.ceil(Math.log2(Math.max(pattern.length, 1)))
      assert.isAtMost(insertions(), most)
    },
    { fastCheck: { numRuns: 300 } },
  )

  it.prop(
    "finds the bad rows with three insertions each where they are named, and whatever else is named",
    [
      pattern.filter((pattern) => !isSuspicious(pattern)),
      fc.oneof(fc.constant(0), fc.integer({ min: -250, max: 250 })),
    ],
    ([pattern, distance]) => {
      const { insert, insertions, stored } = table()
      const naming = (rows: ReadonlyArray<Row>) =>
        insert(rows).pipe(
          Effect.mapError(
            (refusal) =>
              new RowsRefused({
                ...refusal,
                suspect: rows.findIndex(({ refusal }) => refusal !== undefined) + distance,
              }),
          ),
        )
      const outcome = Effect.runSync(isolateRefused("public", rowsOf(pattern), naming))
      const bad = pattern.flatMap((isBad, id) => (isBad ? [id] : []))
      assert.deepStrictEqual(
        outcome.refused.map(({ row }) => row.id),
        bad,
      )
      assert.deepStrictEqual(
        idsOf(stored),
        pattern.flatMap((isBad, id) => (isBad ? [] : [id])),
      )
      if (distance === 0) assert.isAtMost(insertions(), 1 + 3 * bad.length)
    },
  )

  it.prop(
    "suspects the table when more than half is refused",
    [pattern.filter(isSuspicious), queueName],
    ([pattern, queue]) => {
      const outcome = isolateSync(pattern, table().insert, queue)
      const error = new SchemaSuspected({ queue, rows: pattern.length, sqlstate: "22001" })
      assert.deepStrictEqual(outcome, Either.left(error))
    },
  )

  it.prop("another error is passed on at once", [pattern, fc.nat(10)], ([pattern, after]) => {
    const { insert, insertions } = table()
    const insertUntilLost = (rows: ReadonlyArray<Row>) =>
      insertions() === after ? Effect.fail(new ConnectionLost()) : insert(rows)
    const outcome = isolateSync(pattern, insertUntilLost)
    if (Either.isLeft(outcome) && outcome.left._tag === "ConnectionLost") {
      assert.strictEqual(insertions(), after)
    } else {
      assert.isAtMost(insertions(), after, "the lost connection was passed over")
    }
  })

  it.effect.each([
    { bad: 19, of: 19, isSuspected: false },
    { bad: 10, of: 20, isSuspected: false },
    { bad: 11, of: 20, isSuspected: true },
    { bad: 20, of: 20, isSuspected: true },
    { bad: 10, of: 21, isSuspected: false },
    { bad: 11, of: 21, isSuspected: true },
  ])("$bad bad rows of $of: the table is suspected: $isSuspected", ({ bad, of, isSuspected }) =>
    Effect.gen(function* () {
      const rows = rowsOf(Array.from({ length: of }, (_, index) => index < bad))
      const outcome = yield* Effect.either(isolateRefused("public", rows, table().insert))
      assert.strictEqual(Either.isLeft(outcome), isSuspected)
    }),
  )

  it.effect("inserts good rows with one statement, and none with none", () =>
    Effect.gen(function* () {
      const { insert, insertions } = table()
      const nothing = yield* isolateRefused("public", [], insert)
      assert.deepStrictEqual(nothing, { reports: [], refused: [] })
      assert.strictEqual(insertions(), 0)
      yield* isolateRefused("public", rowsOf([false, false, false]), insert)
      assert.strictEqual(insertions(), 1)
    }),
  )

  it.prop(
    "finds the same where it begins with short groups",
    [pattern.filter((pattern) => !isSuspicious(pattern)), fc.integer({ min: 1, max: 50 })],
    ([pattern, longest]) => {
      const { insert, stored } = table()
      const { refused } = Effect.runSync(isolateRefused("public", rowsOf(pattern), insert, longest))
      const places = (isWanted: boolean) => pattern.flatMap((isBad, id) => (isBad === isWanted ? [id] : []))
      assert.deepStrictEqual(
        refused.map(({ row }) => row.id),
        places(true),
      )
      assert.deepStrictEqual(idsOf(stored), places(false))
    },
  )

  it.effect("a row that is refused only together with another is inserted", () =>
    Effect.gen(function* () {
      const rows = rowsOf([false, false, false, false])
      const insert = (group: ReadonlyArray<Row>) =>
        group.some(({ id }) => id === 0) && group.some(({ id }) => id === 3)
          ? Effect.fail(new RowsRefused({ reason: "both", sqlstate: "23505" }))
          : Effect.succeed(group.length)
      const { refused, reports } = yield* isolateRefused("public", rows, insert)
      assert.deepStrictEqual(refused, [])
      assert.deepStrictEqual(
        reports.map(({ report }) => report),
        [2, 2],
      )
    }),
  )
})
