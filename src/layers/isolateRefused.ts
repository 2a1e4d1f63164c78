import { Effect } from "effect"
import { RowsRefused, SchemaSuspected } from "../domain/Errors.ts"
import type { QueueName } from "../domain/Message.ts"

export interface RefusedRow<Row> {
  readonly row: Row
  readonly error: RowsRefused
}

/** Below this many rows, bad luck alone could refuse more than half. */
const suspicionFrom = 20

/**
 * Inserts rows, and where a group of them is refused, its halves, until each refused row stands alone: k bad rows
 * of n cost about k·log2(n) insertions instead of n.
 *
 * When more than half of the rows are refused it stops with `SchemaSuspected`: then it is the table that changed.
 *
 * @param insert adds all of the rows or, with `RowsRefused`, none of them
 * @returns the reports of the insertions that succeeded, and the rows that were refused alone
 */
export const isolateRefused = Effect.fnUntraced(function* <Row, Report, E>(
  queue: QueueName,
  rows: ReadonlyArray<Row>,
  insert: (rows: ReadonlyArray<Row>) => Effect.Effect<Report, RowsRefused | E>,
) {
  const reports: Array<{ readonly rows: ReadonlyArray<Row>; readonly report: Report }> = []
  const refused: Array<RefusedRow<Row>> = []
  const pending: Array<ReadonlyArray<Row>> = rows.length === 0 ? [] : [rows]
  while (pending.length > 0) {
    const group = pending.pop()!
    const result = yield* Effect.either(insert(group))
    if (result._tag === "Right") {
      reports.push({ rows: group, report: result.right })
      continue
    }
    const error = result.left
    if (!(error instanceof RowsRefused)) return yield* Effect.fail(error as E)
    if (group.length > 1) {
      const middle = group.length >>> 1
      // The first half is taken next, so that rows go in in their order.
      pending.push(group.slice(middle), group.slice(0, middle))
      continue
    }
    refused.push({ row: group[0]!, error })
    if (rows.length >= suspicionFrom && refused.length * 2 > rows.length) {
      return yield* new SchemaSuspected({ queue, rows: rows.length, sqlstate: error.sqlstate })
    }
  }
  return { reports, refused }
})
