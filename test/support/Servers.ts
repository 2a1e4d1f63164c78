/**
 * Servers for tests. Most tests take the shared ones, apart from each other by a key prefix and a database of their own.
 * A test that stops, kills or pauses a server takes a controlled one, which nobody else uses.
 */
import { Clock, Context, Effect, Layer, Redacted, type Scope } from "effect"
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { promisify } from "node:util"
import { Client } from "pg"
import { inject } from "vitest"
import * as PostgresServerEmbedded from "../../src/layers/PostgresServerEmbedded.ts"
import * as ValkeyServerEmbedded from "../../src/layers/ValkeyServerEmbedded.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { control, type ControlledServer } from "./ControlledServer.ts"

/** The Valkey of the whole run. Use keys under `uniqueKeyPrefix` and nothing that concerns all keys. */
export const valkeyShared: Layer.Layer<ValkeyServer> = Layer.sync(ValkeyServer, () => ({
  url: Redacted.make(inject("valkeyUrl")),
}))

/** `test:<uuid>:` */
export const uniqueKeyPrefix: Effect.Effect<string> = Effect.sync(() => `test:${randomUUID()}:`)

/** Runs one statement on a server with a connection of its own. */
export const query = (
  url: Redacted.Redacted<string>,
  statement: string,
  values: ReadonlyArray<unknown> = [],
): Effect.Effect<ReadonlyArray<Record<string, unknown>>> =>
  Effect.promise(async () => {
    const client = new Client({ connectionString: Redacted.value(url) })
    client.on("error", () => {})
    await client.connect()
    try {
      return (await client.query(statement, [...values])).rows
    } finally {
      await client.end()
    }
  })

const withDatabase = (url: string, database: string): Redacted.Redacted<string> => {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return Redacted.make(changed.href)
}

const makeFreshDatabase = Effect.gen(function* () {
  const shared = inject("postgresUrl")
  const admin = withDatabase(shared, "postgres")
  const database = `test_${randomUUID().replaceAll("-", "")}`
  yield* Effect.acquireRelease(query(admin, `CREATE DATABASE ${database}`), () =>
    query(admin, `DROP DATABASE ${database} WITH (FORCE)`),
  )
  return { url: withDatabase(shared, database) }
})

/** An empty database on the shared PostgreSQL, dropped at the end with whatever is still connected to it. */
export const freshDatabase: Layer.Layer<PostgresServer> = Layer.scoped(PostgresServer, makeFreshDatabase)

export class ControlledValkey extends Context.Tag("chat-cache/test/ControlledValkey")<
  ControlledValkey,
  ControlledServer
>() {}

export class ControlledPostgres extends Context.Tag("chat-cache/test/ControlledPostgres")<
  ControlledPostgres,
  ControlledServer
>() {}

const ownDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const directory = path.join(inject("temporaryDirectory"), randomUUID())
    await fs.mkdir(directory)
    return directory
  }),
  (directory) =>
    Effect.promise(() => fs.rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })),
)

const makeControlledValkey = Effect.gen(function* () {
  const directory = yield* ownDirectory
  return yield* control(yield* ValkeyServerEmbedded.make({ directory }))
}).pipe(Effect.orDie, Effect.withClock(Clock.make()))

const makeControlledPostgres = Effect.gen(function* () {
  const directory = yield* ownDirectory
  // A copy of the finished cluster takes a fraction of the time of making one.
  yield* Effect.promise(() =>
    promisify(execFile)("cp", ["-a", inject("postgresTemplate"), path.join(directory, "postgres")]),
  )
  return yield* control(yield* PostgresServerEmbedded.make({ directory }))
}).pipe(Effect.orDie, Effect.withClock(Clock.make()))

/** A Valkey of the test's own, running, as the tag that controls it and as the tag that the layers under test need. */
export const controlledValkey: Layer.Layer<ControlledValkey | ValkeyServer> = Layer.scopedContext(
  Effect.map(makeControlledValkey, (server) =>
    Context.make(ControlledValkey, server).pipe(Context.add(ValkeyServer, { url: server.url })),
  ),
)

/** A PostgreSQL of the test's own, running, with an empty database, under both tags. */
export const controlledPostgres: Layer.Layer<ControlledPostgres | PostgresServer> = Layer.scopedContext(
  Effect.map(makeControlledPostgres, (server) =>
    Context.make(ControlledPostgres, server).pipe(Context.add(PostgresServer, { url: server.url })),
  ),
)
