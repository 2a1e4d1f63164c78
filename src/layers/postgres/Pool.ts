import { Effect, type Scope } from "effect"
import { createPool, type DatabasePool } from "slonik"
import type * as Connection from "./Connection.ts"
import * as Driver from "./Driver.ts"

/** A pool of connections that can be replaced by a new one when its server hangs or has changed its role. */
export interface ReplaceablePool {
  /** Making a pool connects to nothing, so that this neither fails nor waits. */
  readonly current: () => Promise<DatabasePool>
  /** Puts a new pool in the place of this one, unless somebody has, and closes the old one in the background. */
  readonly drop: (pool: Promise<DatabasePool>) => Effect.Effect<void>
}

const end = (pool: Promise<DatabasePool>): Effect.Effect<void> =>
  Effect.tryPromise(async () => (await pool).end()).pipe(
    Effect.catchAll((error) => Effect.logDebug("A pool of connections did not end well", error)),
  )

/** Ends the pool with the scope, within the time that its connections may take for that. */
export const make = (
  connection: Connection.ConnectionOptions,
  poolSize: number,
): Effect.Effect<ReplaceablePool, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const open = () =>
      createPool(connection.url, {
        driverFactory: Driver.make(connection),
        maxPoolSize: poolSize,
        idleTimeout: 10_000,
        gracefulTerminationTimeout: connection.terminationTimeoutMillis,
        // Transactions leave nothing behind that would have to be reset.
        resetConnection: () => Promise.resolve(),
        // Whoever asked decides about asking again.
        connectionRetryLimit: 0,
        queryRetryLimit: 0,
        transactionRetryLimit: 0,
        typeParsers: [],
      })
    let current = open()
    yield* Effect.addFinalizer(() => Effect.suspend(() => end(current)))
    return {
      current: () => current,
      drop: (pool) =>
        Effect.suspend(() => {
          if (pool !== current) return Effect.void
          current = open()
          return Effect.asVoid(Effect.forkIn(end(pool), scope))
        }),
    }
  })
