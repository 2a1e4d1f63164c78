import { Effect, Exit } from "effect"
import { type DatabasePool, type QueryResult, type QuerySqlToken, sql } from "slonik"
import { type StoreError, StoreUnavailable } from "../../domain/Errors.ts"
import type { PostgresTransaction } from "../../services/Postgres.ts"
import * as Copy from "./Copy.ts"
import { type Failure, failureOf, isData, rowsRefused, storeError } from "./Failure.ts"
import * as Lease from "./Lease.ts"

export interface TransactionTimeouts {
  readonly statementMillis: number
  readonly lockMillis: number
  /** How long the server keeps the locks of a client that is gone. */
  readonly idleMillis: number
}

/**
 * One text for one round trip. The settings hold for this transaction only, whatever the role, the database or a
 * connection pooler in between has set. With `synchronous_commit = off`, a crash would forget what COMMIT has confirmed.
 * Without `client_connection_check_interval` (PostgreSQL 14, not on Windows), a statement whose client is gone would
 * run on to its end and keep its locks.
 */
const begin = ({ statementMillis, lockMillis, idleMillis }: TransactionTimeouts): QuerySqlToken => sql.unsafe`
  START TRANSACTION ISOLATION LEVEL READ COMMITTED;
  SET LOCAL synchronous_commit = on;
  SET LOCAL client_connection_check_interval = '500ms';
  SET LOCAL statement_timeout = ${sql.literalValue(String(statementMillis))};
  SET LOCAL lock_timeout = ${sql.literalValue(String(lockMillis))};
  SET LOCAL idle_in_transaction_session_timeout = ${sql.literalValue(String(idleMillis))}`

const commit = sql.unsafe`COMMIT`
const setSavepoint = sql.unsafe`SAVEPOINT attempt`
const releaseSavepoint = sql.unsafe`RELEASE SAVEPOINT attempt`
const rollbackToSavepoint = sql.unsafe`ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt`

/** Statements without values, which PostgreSQL takes in one text and so in one round trip. */
const together = (statements: ReadonlyArray<QuerySqlToken>): QuerySqlToken =>
  sql.unsafe`${sql.join(statements, sql.fragment`; `)}`

interface OpenTransaction extends PostgresTransaction {
  readonly commit: Effect.Effect<void, StoreError>
}

const open = (
  operation: string,
  beginning: QuerySqlToken,
  lease: Lease.Lease,
  run: (statement: QuerySqlToken) => Promise<QueryResult<unknown>>,
): OpenTransaction => {
  const turns = Effect.unsafeMakeSemaphore(1)
  /** What has to come before the next statement. */
  let before: ReadonlyArray<QuerySqlToken> = [beginning]
  let isSavepointSet = false
  // PostgreSQL answers COMMIT with a silent ROLLBACK once a statement has failed, and slonik passes that off as success.
  let spoiled: StoreError | undefined

  /** In one text and so in one round trip, unless the statement has values. */
  const runNext = (statement: QuerySqlToken): Promise<QueryResult<unknown>> => {
    if (before.length === 0) return run(statement)
    const first = together(before)
    before = []
    if (Copy.isCopy(statement.sql)) return run(Copy.after(first, statement))
    return statement.values.length === 0
      ? run(together([first, statement]))
      : run(first).then(() => run(statement))
  }
  const send = (statement: QuerySqlToken): Effect.Effect<QueryResult<unknown>, Failure> =>
    Effect.tryPromise({
      try: () => runNext(statement),
      // What broke the connection says more than that it is closed.
      catch: (error) => failureOf(lease.broken() ?? error),
    })
  const unavailable = (reason: string) => new StoreUnavailable({ operation, reason, sqlstate: null })
  const spoil = (error: StoreError): Effect.Effect<void> =>
    Effect.sync(() => {
      spoiled ??= error
    })
  const inTurn = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | StoreError> =>
    Effect.suspend((): Effect.Effect<A, E | StoreError> =>
      spoiled === undefined ? effect : Effect.fail(spoiled),
    ).pipe(
      Effect.onInterrupt(() => spoil(unavailable("a statement was interrupted"))),
      turns.withPermits(1),
    )
  const orSpoil = <A>(effect: Effect.Effect<A, Failure>): Effect.Effect<A, StoreError> =>
    effect.pipe(
      Effect.mapError((failure) => storeError(operation, failure)),
      Effect.tapError(spoil),
    )

  const query = (statement: QuerySqlToken) => inTurn(orSpoil(send(statement)))

  const attempt = (statement: QuerySqlToken) =>
    inTurn(
      Effect.gen(function* () {
        before = [...before, ...(isSavepointSet ? [releaseSavepoint] : []), setSavepoint]
        isSavepointSet = true
        const result = yield* Effect.either(send(statement))
        if (result._tag === "Left") {
          if (!isData(result.left)) return yield* orSpoil(Effect.fail(result.left))
          before = [rollbackToSavepoint]
          isSavepointSet = false
          return yield* rowsRefused(result.left)
        }
        // It is released by the next attempt, or by COMMIT.
        return result.right
      }),
    )

  const confirmed = send(commit).pipe(
    Effect.mapError((failure) =>
      storeError(
        operation,
        failure.sqlstate === null
          ? { ...failure, reason: `the outcome of COMMIT is unknown: ${failure.reason}` }
          : failure,
      ),
    ),
    Effect.filterOrFail(
      ({ command }) => (command as string) === "COMMIT",
      () => unavailable("the server has rolled the transaction back"),
    ),
    Effect.asVoid,
    Effect.withSpan("Postgres.commit"),
  )
  return {
    query: query as PostgresTransaction["query"],
    attempt: attempt as PostgresTransaction["attempt"],
    commit: inTurn(confirmed),
  }
}

/**
 * Runs the body in one transaction on one connection of the pool. Whatever does not end in a confirmed COMMIT closes
 * the connection: nothing that was left open on it can reach anybody else.
 */
export const run = <A, E>(
  pool: Promise<DatabasePool>,
  timeouts: TransactionTimeouts,
  operation: string,
  body: (transaction: PostgresTransaction) => Effect.Effect<A, E>,
): Effect.Effect<A, E | StoreError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => Lease.take(pool)),
    (lease) =>
      Effect.gen(function* () {
        const connection = yield* Effect.tryPromise({
          try: () => lease.connection,
          catch: (error) => storeError(operation, failureOf(error)),
        })
        const transaction = open(operation, begin(timeouts), lease, (statement) =>
          connection.query(statement),
        )
        const result = yield* body(transaction)
        yield* transaction.commit
        return result
      }),
    (lease, exit) => Effect.promise(Exit.isSuccess(exit) ? lease.giveBack : lease.giveUp),
  )
