import { Duration, Effect, Layer, Redacted, type Scope } from "effect"
import { type DatabasePool, type QuerySqlToken, sql } from "slonik"
import { type StoreError, StoreUnavailable } from "../../domain/Errors.ts"
import { Postgres, type PostgresTransaction } from "../../services/Postgres.ts"
import { PostgresServer } from "../../services/PostgresServer.ts"
import * as Connection from "./Connection.ts"
import { noAnswer } from "./Failure.ts"
import * as Migrations from "./Migrations.ts"
import * as Pool from "./Pool.ts"
import * as Problem from "./Problem.ts"
import * as Transaction from "./Transaction.ts"

export interface PostgresOptions {
  /** The most connections at once. */
  readonly poolSize: number
  readonly connectTimeout: Duration.DurationInput
  /** From the call of an operation to its end, waiting for a free connection included. */
  readonly transactionDeadline: Duration.DurationInput
  readonly readDeadline: Duration.DurationInput
  readonly probeDeadline: Duration.DurationInput
  readonly migrationDeadline: Duration.DurationInput
  /** The server's own limits, within the deadlines: for one statement, and for waiting for one lock. */
  readonly statementTimeout: Duration.DurationInput
  readonly lockTimeout: Duration.DurationInput
  /** How long a connection that is given up may take to finish its statement, and then to say goodbye. */
  readonly terminationTimeout: Duration.DurationInput
  /** Whether the first transaction brings the tables up to date. True unless given. */
  readonly migrates: boolean
}

export const defaults: PostgresOptions = {
  poolSize: 4,
  connectTimeout: "5 seconds",
  transactionDeadline: "30 seconds",
  readDeadline: "15 seconds",
  probeDeadline: "5 seconds",
  migrationDeadline: "1 minute",
  statementTimeout: "10 seconds",
  lockTimeout: "1 second",
  terminationTimeout: "500 millis",
  migrates: true,
}

/** After a failover the old primary still answers, and its connections are as read-only as it is. */
const readOnly = "25006"

/** A transaction of which the server says that it could store nothing. */
const probe = ({ query }: PostgresTransaction) =>
  query<{ readonly read_only: string }>(
    sql.unsafe`SELECT current_setting('transaction_read_only') AS read_only`,
  ).pipe(
    Effect.filterOrFail(
      ({ rows }) => rows[0]?.read_only === "off",
      () => new StoreUnavailable({ operation: "probe", reason: "it is read-only", sqlstate: readOnly }),
    ),
    Effect.asVoid,
  )

export const make = (
  overrides: Partial<PostgresOptions> = {},
): Effect.Effect<typeof Postgres.Service, never, PostgresServer | Scope.Scope> =>
  Effect.gen(function* () {
    const options = { ...defaults, ...overrides }
    const { url } = yield* PostgresServer
    const connection: Connection.ConnectionOptions = {
      url: Redacted.value(url),
      connectTimeoutMillis: Duration.toMillis(options.connectTimeout),
      terminationTimeoutMillis: Duration.toMillis(options.terminationTimeout),
    }
    const problem = Problem.make(Connection.addressOf(connection.url))
    const pool = yield* Pool.make(connection, options.poolSize)
    const migrations = options.migrates
      ? yield* Migrations.make(connection, options.migrationDeadline)
      : { done: Effect.void }
    // Slonik lets callers wait for a connection without end, so none may come to wait there.
    const slots = yield* Effect.makeSemaphore(options.poolSize)

    const timeouts = (deadline: Duration.DurationInput): Transaction.TransactionTimeouts => {
      const deadlineMillis = Duration.toMillis(deadline)
      return {
        statementMillis: Math.min(Duration.toMillis(options.statementTimeout), deadlineMillis),
        lockMillis: Duration.toMillis(options.lockTimeout),
        idleMillis: deadlineMillis,
      }
    }

    const run = <A, E>(
      operation: string,
      body: (transaction: PostgresTransaction) => Effect.Effect<A, E>,
      deadline: Duration.DurationInput,
    ): Effect.Effect<A, E | StoreError> =>
      Effect.suspend(() => {
        const late = noAnswer(operation, deadline)
        let used: Promise<DatabasePool> | undefined
        const isUseless = (error: E | StoreError) =>
          error === late || (error instanceof StoreUnavailable && error.sqlstate === readOnly)
        const work = Effect.suspend((): Effect.Effect<A, E | StoreError> => {
          used = pool.current()
          return Transaction.run(used, timeouts(deadline), operation, body)
        })
        return slots
          .withPermits(1)(Effect.zipRight(migrations.done, work))
          .pipe(
            Effect.timeoutFail({ duration: deadline, onTimeout: () => late }),
            Effect.tapError((error) =>
              used !== undefined && isUseless(error) ? pool.drop(used) : Effect.void,
            ),
            Effect.onExit((exit) => problem.observe(exit)),
          )
      })

    return Postgres.of({
      transaction: (operation, body, deadline = options.transactionDeadline) =>
        run(operation, body, deadline),
      read: <Row>(operation: string, statement: QuerySqlToken) =>
        run(operation, ({ query }) => query<Row>(statement), options.readDeadline).pipe(
          Effect.map(({ rows }) => rows),
        ),
      probe: run("probe", probe, options.probeDeadline),
      problem: problem.sentence,
    })
  })

/** Never fails and never waits: connects when it is first asked for something. */
export const layerWith = (
  overrides: Partial<PostgresOptions>,
): Layer.Layer<Postgres, never, PostgresServer> => Layer.scoped(Postgres, make(overrides))

export const layer: Layer.Layer<Postgres, never, PostgresServer> = layerWith({})
