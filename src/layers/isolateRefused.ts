import { Array as Arrays, Effect } from "effect"
import { RowsRefused, SchemaSuspected } from "../domain/Errors.ts"
import type { QueueName } from "../domain/Message.ts"

export interface RefusedRow<Row> {
  readonly row: Row
  readonly error: RowsRefused
}

/** Below this many rows, bad luck alone could refuse more than half. */
const suspicionFrom = 20

/** In their order, so that the first is the next. The suspect is tried alone, whether it is bad or not. */
const partsOf = <Row>(
  group: ReadonlyArray<Row>,
  { suspect }: RowsRefused,
): ReadonlyArray<ReadonlyArray<Row>> => {
  const middle = group.length >>> 1
  const parts =
    suspect === undefined || group[suspect] === undefined
      ? [group.slice(0, middle), group.slice(middle)]
      : [group.slice(0, suspect), group.slice(suspect, suspect + 1), group.slice(suspect + 1)]
  return parts.filter((part) => part.length > 0)
}

/**
 * Inserts rows, and where a group of them is refused, its halves, until each refused row stands alone: k bad rows
 * of n cost about k·log2(n) insertions instead of n, and about 3·k where PostgreSQL names the row that it refuses.
 *
 * When more than half of the rows are refused it stops with `SchemaSuspected`: then it is the table that changed.
 *
 * @param insert adds all of the rows or, with `RowsRefused`, none of them
 * @param longestGroup the most rows of the first groups. A refusal costs PostgreSQL what it has done of the group, so
 *   that where one is to be expected, short groups are cheaper; otherwise one group is.
 * @returns the reports of the insertions that succeeded, and the rows that were refused alone
 */
export const isolateRefused = Effect.fnUntraced(function* <Row, Report, E>(
  queue: QueueName,
  rows: ReadonlyArray<Row>,
  insert: (rows: ReadonlyArray<Row>) => Effect.Effect<Report, RowsRefused | E>,
  longestGroup = Number.POSITIVE_INFINITY,
) {
  const reports: Array<{ readonly rows: ReadonlyArray<Row>; readonly report: Report }> = []
  const refused: Array<RefusedRow<Row>> = []
  const pending: Array<ReadonlyArray<Row>> =
    rows.length > longestGroup
      ? Arrays.chunksOf(rows, longestGroup).toReversed()
      : rows.length === 0
        ? []
        : [rows]
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
      pending.push(...partsOf(group, error).toReversed())
      continue
    }
    refused.push({ row: group[0]!, error })
    if (rows.length >= suspicionFrom && refused.length * 2 > rows.length) {
      return yield* new SchemaSuspected({ queue, rows: rows.length, sqlstate: error.sqlstate })
    }
  }
  return { reports, refused }
})
