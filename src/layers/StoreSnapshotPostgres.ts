import { Duration, Effect, Layer } from "effect"
import type { QuerySqlToken } from "slonik"
import type { QuarantineTotals } from "../domain/State.ts"
import { Postgres, type PostgresTransaction } from "../services/Postgres.ts"
import {
  type QuarantineDifference,
  type StoredRow,
  StoreSnapshot,
  type StoreView,
} from "../services/StoreSnapshot.ts"
import { decodeEventRows, type EventRow } from "./eventData.ts"
import { greatestCacheId } from "./MessageStorePostgres.ts"
import * as EventRows from "./postgres/EventRows.ts"
import * as QuarantineRows from "./postgres/QuarantineRows.ts"
import * as SnapshotRows from "./postgres/SnapshotRows.ts"

const operation = "StoreSnapshot.read"

const storeView = ({ query }: PostgresTransaction): StoreView => {
  const all = <Row>(statement: QuerySqlToken) => Effect.map(query<Row>(statement), ({ rows }) => rows)
  const one = <Row>(statement: QuerySqlToken) => Effect.map(all<Row>(statement), ([row]) => row!)
  return {
    events: (after, limit) =>
      Effect.flatMap(all<EventRow>(EventRows.select(after, limit)), (rows) =>
        decodeEventRows(operation, rows),
      ),
    rowCount: (queue) =>
      Effect.map(one<{ readonly count: number }>(SnapshotRows.rowCount(queue)), ({ count }) => count),
    quarantineTotals: (queue) =>
      Effect.map(one<QuarantineTotals>(SnapshotRows.quarantineTotals(queue)), (totals) => ({ ...totals })),
    greatestCacheId: (queue) =>
      Effect.map(one<{ readonly greatest: number }>(greatestCacheId(queue)), ({ greatest }) => greatest),
    storedIds: (queue, messageIds) =>
      Effect.map(all<{ readonly message_id: string }>(SnapshotRows.storedIds(queue, messageIds)), (rows) =>
        rows.map(({ message_id }) => message_id),
      ),
    deletedIds: (queue, messageIds) =>
      Effect.map(all<{ readonly message_id: string }>(SnapshotRows.deletedIds(queue, messageIds)), (rows) =>
        rows.map(({ message_id }) => message_id),
      ),
    quarantinedBytes: (queue, cacheIds) =>
      Effect.map(all<{ readonly raw: Buffer }>(QuarantineRows.selectBytes(queue, cacheIds)), (rows) =>
        rows.map(({ raw }) => raw),
      ),
    openEntries: (queue, page) =>
      Effect.map(all<QuarantineRows.Row>(QuarantineRows.selectOpen(queue, page)), (rows) =>
        rows.map(QuarantineRows.entryOf),
      ),
    quarantineDifferences: (queue, limit) =>
      Effect.map(
        all<QuarantineDifference & { readonly count: number }>(
          SnapshotRows.quarantineDifferences(queue, limit),
        ),
        (rows) => ({
          count: rows[0]?.count ?? 0,
          differences: rows.map(({ id, held, journalled }) => ({ id, held, journalled })),
        }),
      ),
    countRows: (queue, ranges) =>
      Effect.map(all<{ readonly count: number }>(SnapshotRows.countRows(queue, ranges)), (rows) =>
        rows.map(({ count }) => count),
      ),
    rowsWithin: (queue, range, limit) =>
      Effect.map(all<StoredRow>(SnapshotRows.rowsWithin(queue, range, limit)), (rows) =>
        rows.map(({ message_id, cache_id }) => ({ message_id, cache_id })),
      ),
    missingWithin: (queue, range, limit) =>
      Effect.map(
        all<{ readonly cache_id: number }>(SnapshotRows.missingWithin(queue, range, limit)),
        (rows) => rows.map(({ cache_id }) => cache_id),
      ),
  }
}

/** READ ONLY and REPEATABLE READ: no statement takes a lock that anybody waits for, and all see the same instant. */
const make = Effect.gen(function* () {
  const postgres = yield* Postgres
  return StoreSnapshot.of({
    read: (body, deadline) =>
      postgres
        .transaction(
          operation,
          (transaction) =>
            transaction
              .query(SnapshotRows.begin(Duration.toMillis(deadline)))
              .pipe(Effect.zipRight(Effect.suspend(() => body(storeView(transaction))))),
          deadline,
        )
        .pipe(Effect.withSpan(operation)),
  })
})

export const layer: Layer.Layer<StoreSnapshot, never, Postgres> = Layer.effect(StoreSnapshot, make)
