/** The servers of a soak run, in its hands, and proxies in front of them: one for each user of a server. */
import { Data, Effect, Redacted, type Scope } from "effect"
import { Redis } from "iovalkey"
import * as path from "node:path"
import * as Connection from "../../src/layers/postgres/Connection.ts"
import * as PostgresServerEmbedded from "../../src/layers/PostgresServerEmbedded.ts"
import * as ValkeyServerEmbedded from "../../src/layers/ValkeyServerEmbedded.ts"
import type { PostgresServer } from "../../src/services/PostgresServer.ts"
import type { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { control, type ControlledServer } from "../support/ControlledServer.ts"
import * as TcpProxy from "../support/TcpProxy.ts"

/** A server did not do what it was asked to do, most often because something else has failed just then. */
export class NotDone extends Data.TaggedError("NotDone")<{ readonly message: string }> {}

export interface Servers {
  readonly valkey: ControlledServer
  readonly postgres: ControlledServer
  /** Asks Valkey past all proxies. */
  readonly onValkey: <A>(use: (client: Redis) => Promise<A>) => Effect.Effect<A, NotDone>
  /** Runs statements, each in a transaction of its own, as the superuser and past all proxies. Returns the last rows. */
  readonly onPostgres: (
    ...statements: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<Record<string, unknown>>, NotDone>
  /** Opens a connection that is closed with the scope at the latest. */
  readonly connectPostgres: (
    user: "superuser" | "daemon",
  ) => Effect.Effect<Connection.Connection, NotDone, Scope.Scope>
  readonly proxies: { readonly valkey: Proxies; readonly postgres: Proxies }
  /** The servers as user number n of them sees them. */
  readonly seenBy: (user: number) => {
    readonly valkey: typeof ValkeyServer.Service
    readonly postgres: typeof PostgresServer.Service
  }
  /** What has to be removed in the end. */
  readonly directories: ReadonlyArray<string>
}

export type Proxies = ReadonlyArray<TcpProxy.TcpProxy>

/** Not the superuser, to whom no right can be refused. */
export const role = "soak_daemon"

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, NotDone> =>
  Effect.tryPromise({ try: run, catch: (error) => new NotDone({ message: String(error) }) })

const openValkey = (url: string): Effect.Effect<Redis, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const client = new Redis(url, {
        maxRetriesPerRequest: 0,
        enableOfflineQueue: false,
        commandTimeout: 10_000,
        retryStrategy: () => 100,
      })
      client.on("error", () => {})
      return client
    }),
    (client) => Effect.sync(() => client.disconnect()),
  )

const openPostgres = (url: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      Connection.make({ url, connectTimeoutMillis: 5000, terminationTimeoutMillis: 500 }, () => {}),
    ),
    (connection) => Effect.promise(() => connection.end().catch(() => {})),
  ).pipe(Effect.tap((connection) => attempt(() => connection.connect())))

const withUser = (url: string, user: string): string => {
  const changed = new URL(url)
  changed.username = user
  return changed.href
}

const prepare = (password: string) => [
  `CREATE ROLE ${role} LOGIN PASSWORD '${password}'`,
  `GRANT ALL ON SCHEMA public TO ${role}`,
]

/** @param users how many there are, each with its own proxies */
export const make = (directory: string, users: number) =>
  Effect.gen(function* () {
    const [embeddedValkey, embeddedPostgres] = yield* Effect.all(
      [
        ValkeyServerEmbedded.make({ directory }),
        PostgresServerEmbedded.make({ directory, settings: { max_connections: "60" } }),
      ],
      { concurrency: 2 },
    )
    const valkey = yield* control(embeddedValkey)
    const postgres = yield* control(embeddedPostgres)
    const valkeyUrl = Redacted.value(valkey.url)
    const postgresUrl = Redacted.value(postgres.url)
    const daemonUrl = withUser(postgresUrl, role)

    const proxiesOf = (url: string) => Effect.replicateEffect(TcpProxy.make(url), users)
    const proxies = { valkey: yield* proxiesOf(valkeyUrl), postgres: yield* proxiesOf(postgresUrl) }

    const client = yield* openValkey(valkeyUrl)
    const onPostgres: Servers["onPostgres"] = (...statements) =>
      Effect.gen(function* () {
        const { client: superuser } = yield* openPostgres(postgresUrl)
        let rows: ReadonlyArray<Record<string, unknown>> = []
        for (const statement of ["SET lock_timeout = '3s'", "SET statement_timeout = '60s'", ...statements]) {
          rows = (yield* attempt(() => superuser.query(statement))).rows
        }
        return rows
      }).pipe(
        Effect.scoped,
        Effect.timeoutFail({
          duration: "90 seconds",
          onTimeout: () => new NotDone({ message: "no answer" }),
        }),
      )
    yield* onPostgres(...prepare(new URL(postgresUrl).password))

    return {
      valkey,
      postgres,
      onValkey: (use) => attempt(() => use(client)),
      onPostgres,
      connectPostgres: (user) => openPostgres(user === "daemon" ? daemonUrl : postgresUrl),
      proxies,
      seenBy: (user) => ({
        valkey: { url: Redacted.make(proxies.valkey[user]!.through(valkeyUrl)) },
        postgres: { url: Redacted.make(proxies.postgres[user]!.through(daemonUrl)) },
      }),
      directories: [path.dirname(embeddedPostgres.path)],
    } satisfies Servers as Servers
  })
