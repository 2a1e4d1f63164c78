import { Context, type Duration, type Effect } from "effect"
import type { QueryResult, QuerySqlToken } from "slonik"
import type { RowsRefused, StoreError } from "../domain/Errors.ts"

/**
 * A transaction that is open. Its statements run one after the other.
 *
 * When a statement fails, or is interrupted, the transaction cannot be committed any more, even if the error is caught:
 * PostgreSQL would answer COMMIT with a silent ROLLBACK.
 */
export interface PostgresTransaction {
  readonly query: <Row>(statement: QuerySqlToken) => Effect.Effect<QueryResult<Row>, StoreError>

  /**
   * Runs the statement under a savepoint: with `RowsRefused`, the transaction goes on as if it had not been run.
   */
  readonly attempt: <Row>(
    statement: QuerySqlToken,
  ) => Effect.Effect<QueryResult<Row>, RowsRefused | StoreError>
}

/** The way to PostgreSQL: connections that are made when they are needed and replaced when they hang. */
export class Postgres extends Context.Tag("chat-cache/Postgres")<
  Postgres,
  {
    /**
     * Runs the body in one transaction (READ COMMITTED, `synchronous_commit = on`): COMMIT when it succeeds, ROLLBACK
     * when it fails or is interrupted. The first transaction of the process migrates the database before it begins.
     *
     * Ends within the deadline, waiting for a free connection included, even if the server
     * hangs: within 30 seconds, unless another one is given.
     *
     * @param operation what the caller is doing, for the error, such as `MessageStore.transaction`
     * @param deadline the store's own one for transactions unless given
     */
    readonly transaction: <A, E>(
      operation: string,
      body: (transaction: PostgresTransaction) => Effect.Effect<A, E>,
      deadline?: Duration.DurationInput,
    ) => Effect.Effect<A, E | StoreError>

    /** The same for one statement, within 15 seconds. */
    readonly read: <Row>(
      operation: string,
      statement: QuerySqlToken,
    ) => Effect.Effect<ReadonlyArray<Row>, StoreError>

    /** Asks the server for nothing but an answer. One that is read-only is `StoreUnavailable`. Ends within 5 seconds. */
    readonly probe: Effect.Effect<void, StoreError>

    /** One sentence on what is wrong with the server as of the last operation, `undefined` when that went well. Never waits. */
    readonly problem: Effect.Effect<string | undefined>
  }
>() {}
