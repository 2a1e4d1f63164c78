import { Duration, Effect, Exit, Fiber, Option, type Scope } from "effect"
import { readdir } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import type { Client, ClientBase } from "pg"
import type { StoreError } from "../../domain/Errors.ts"
import * as Connection from "./Connection.ts"
import { type Failure, failureOf, noAnswer, storeError } from "./Failure.ts"

/** The same from `src` and from `dist`. */
const directory = fileURLToPath(new URL("../../../migrations", import.meta.url))

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

const migrate = async (client: Client, deadlineMillis: number): Promise<ReadonlyArray<string>> => {
  // Imported when it is needed, because it takes longer to load than everything else that serving needs.
  const { PG_MIGRATE_LOCK_ID, runner } = await import("node-pg-migrate")
  // One transaction around everything, so that nothing is left on the connection that a pooler may give to others: neither
  // the lock nor a setting. Waiting for another process and building an index may outlast a role's own timeouts.
  await client.query(
    `BEGIN;
     SET LOCAL statement_timeout = ${deadlineMillis};
     SET LOCAL lock_timeout = ${deadlineMillis};
     SELECT pg_advisory_xact_lock(${PG_MIGRATE_LOCK_ID})`,
  )
  const { rows } = await client.query("SELECT coalesce(current_schema(), 'public') AS schema")
  let refused: unknown
  // The runner puts some errors of the server into the text of its own ones, where their SQLSTATE is lost.
  const listened = {
    query: (statement: string, values?: Array<unknown>) =>
      client.query(statement, values).catch((error: unknown) => {
        refused ??= error
        throw error
      }),
  }
  try {
    const migrations = await runner({
      dbClient: listened as unknown as ClientBase,
      dir: directory,
      direction: "up",
      // Not as `schema`, which would be set for the session.
      migrationsSchema: rows[0].schema,
      migrationsTable: table,
      singleTransaction: true,
      noLock: true,
      logger: silent,
    })
    // What the runner commits is this transaction, its own one having been begun already.
    if (migrations.length === 0) await client.query("COMMIT")
    return migrations.map(({ name }) => name)
  } catch (error) {
    throw refused ?? error
  }
}

const run = (
  options: Connection.ConnectionOptions,
  deadlineMillis: number,
): Effect.Effect<ReadonlyArray<string>, Failure> =>
  Effect.acquireUseRelease(
    Effect.try({ try: () => Connection.make(options, () => {}), catch: failureOf }),
    ({ client, connect }) =>
      Effect.tryPromise({
        try: () => connect().then(() => migrate(client, deadlineMillis)),
        catch: failureOf,
      }),
    ({ end }) => Effect.promise(end),
  )

/** Applies what is missing, and returns the names of that. */
export const apply = (
  options: Connection.ConnectionOptions,
  deadline: Duration.DurationInput,
): Effect.Effect<ReadonlyArray<string>, StoreError> =>
  run(options, Duration.toMillis(deadline)).pipe(
    Effect.mapError((failure) => storeError("migrate", failure)),
    Effect.timeoutFail({ duration: deadline, onTimeout: () => noAnswer("migrate", deadline) }),
  )

export const table = "chat_cache_migrations"

/** The names of all migrations of this version, in order. */
export const names: Effect.Effect<ReadonlyArray<string>> = Effect.promise(async () =>
  (await readdir(directory))
    .filter((file) => file.endsWith(".sql"))
    .map((file) => file.slice(0, -".sql".length))
    .sort(),
)

export interface Migrations {
  /**
   * Succeeds once the tables are those of this version. Concurrent callers share one attempt, which goes on when one of
   * them is interrupted; after a failure, the next caller starts another one.
   */
  readonly done: Effect.Effect<void, StoreError>
}

/**
 * The missing migrations run in one transaction. Several processes may do it at once: an advisory lock lets one of them
 * work while the others wait.
 */
export const make = (
  options: Connection.ConnectionOptions,
  deadline: Duration.DurationInput,
): Effect.Effect<Migrations, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const starting = yield* Effect.makeSemaphore(1)
    let attempt: Fiber.RuntimeFiber<void, StoreError> | undefined

    const once = apply(options, deadline).pipe(
      Effect.flatMap((names) =>
        names.length === 0
          ? Effect.void
          : Effect.logInfo(`The tables of PostgreSQL have been brought up to date: ${names.join(", ")}`),
      ),
    )
    const share = Effect.gen(function* () {
      const outcome = attempt === undefined ? Option.none() : yield* Fiber.poll(attempt)
      const hasFailed = Option.isSome(outcome) && Exit.isFailure(outcome.value)
      if (attempt === undefined || hasFailed) attempt = yield* Effect.forkIn(once, scope)
      return attempt
    })
    return { done: share.pipe(starting.withPermits(1), Effect.flatMap(Fiber.await), Effect.flatten) }
  })
