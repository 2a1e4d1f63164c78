/**
 * Servers for tests. Most tests take the shared ones, apart from each other by a key prefix and a database of their own.
 * A test that stops, kills or pauses a server takes a controlled one, which nobody else uses.
 */
import { Clock, Context, Effect, Exit, Layer, Redacted, Ref, Scope } from "effect"
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { promisify } from "node:util"
import { Client } from "pg"
import { inject } from "vitest"
import type { EmbeddedServerError } from "../../src/domain/EmbeddedServerErrors.ts"
import type { ChildServer } from "../../src/layers/ChildServer.ts"
import * as PostgresServerEmbedded from "../../src/layers/PostgresServerEmbedded.ts"
import * as ValkeyServerEmbedded from "../../src/layers/ValkeyServerEmbedded.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"

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

/** A server that the test has in its hands. Port, password and data stay the same over restarts. */
export interface ControlledServer {
  readonly url: Redacted.Redacted<string>
  readonly port: number
  /** Returns when the server answers. Nothing happens when it runs already. */
  readonly start: Effect.Effect<void>
  /** As an operator stops it, and returns when it has ended. Nothing happens when it does not run. */
  readonly stop: Effect.Effect<void>
  /** SIGKILL to all of its processes, and returns when it has ended. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP to all of its processes: connections stay open and nothing answers. */
  readonly pause: Effect.Effect<void>
  /** Undoes `pause`. */
  readonly resume: Effect.Effect<void>
}

export class ControlledValkey extends Context.Tag("chat-cache/test/ControlledValkey")<
  ControlledValkey,
  ControlledServer
>() {}

export class ControlledPostgres extends Context.Tag("chat-cache/test/ControlledPostgres")<
  ControlledPostgres,
  ControlledServer
>() {}

interface Running {
  readonly server: ChildServer
  readonly scope: Scope.CloseableScope
}

const childrenOf = async (pid: number): Promise<ReadonlyArray<number>> => {
  const { stdout } = await promisify(execFile)("ps", ["-e", "-o", "pid=,ppid="])
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child, parent]) => (parent === pid && child !== undefined ? [child] : []))
}

/** The parent first, so that it does not answer the end of a child with a new one. */
const signalAll = (pid: number, signal: NodeJS.Signals): Effect.Effect<void> =>
  Effect.promise(async () => {
    process.kill(pid, "SIGSTOP")
    for (const child of await childrenOf(pid)) process.kill(child, signal)
    process.kill(pid, signal)
  })

const control = (embedded: {
  readonly url: Redacted.Redacted<string>
  readonly port: number
  readonly run: Effect.Effect<ChildServer, EmbeddedServerError, Scope.Scope>
}): Effect.Effect<ControlledServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const running = yield* Ref.make<Running | undefined>(undefined)
    const onRunning = (use: (running: Running) => Effect.Effect<void>) =>
      Effect.flatMap(Ref.get(running), (now) => (now === undefined ? Effect.void : use(now)))
    const close = ({ scope }: Running) =>
      Ref.set(running, undefined).pipe(Effect.zipRight(Scope.close(scope, Exit.void)))

    const start = Effect.gen(function* () {
      if ((yield* Ref.get(running)) !== undefined) return
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(embedded.run, scope).pipe(
        Effect.onError(() => Scope.close(scope, Exit.void)),
      )
      yield* Ref.set(running, { server, scope })
    }).pipe(Effect.orDie, Effect.uninterruptible)
    const resume = onRunning(({ server }) => signalAll(server.pid, "SIGCONT"))
    const stop = onRunning((now) => Effect.zipRight(resume, close(now)))
    const kill = onRunning((now) =>
      signalAll(now.server.pid, "SIGKILL").pipe(
        Effect.zipRight(now.server.exited),
        Effect.zipRight(close(now)),
      ),
    )
    const pause = onRunning(({ server }) => signalAll(server.pid, "SIGSTOP"))

    yield* Effect.addFinalizer(() => kill)
    yield* start
    return { url: embedded.url, port: embedded.port, start, stop, kill, pause, resume }
  })

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
