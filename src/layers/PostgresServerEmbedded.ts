/**
 * A PostgreSQL of the daemon's own. Its data is in `<directory>/postgres/data`, and `<directory>/postgres/url` holds the
 * address for people: `psql "$(cat .data/postgres/url)"`. PostgreSQL refuses to run as root: for root, it runs as an
 * ordinary account, and where that account cannot reach the directory, everything is under `/var/lib/chat-cache`.
 */
import { Clock, Effect, Layer, Redacted, Schedule, type Scope } from "effect"
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { promisify } from "node:util"
import { Client, DatabaseError } from "pg"
import type { EmbeddedServerError, ServerNotStarted } from "../domain/EmbeddedServerErrors.ts"
import { PostgresServer } from "../services/PostgresServer.ts"
import * as ChildServer from "./ChildServer.ts"
import * as PostgresBinaries from "./PostgresBinaries.ts"
import * as ServerDirectory from "./ServerDirectory.ts"

export interface Options {
  /** Where the daemon keeps its data; the server takes the folder `postgres` in it. */
  readonly directory: string
  /** On 127.0.0.1. Any free one unless given. */
  readonly port?: number
  /** Further settings of the server, such as `fsync: "off"` for data that nobody needs tomorrow. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface EmbeddedPostgres {
  readonly url: Redacted.Redacted<string>
  readonly port: number
  /** The folder that is used, which for root may be under `/var/lib/chat-cache`. */
  readonly path: string
  /** Starts the server, and stops it with the scope. One at a time. */
  readonly run: Effect.Effect<ChildServer.ChildServer, ServerNotStarted, Scope.Scope>
}

const USER = "chat_cache"
const DATABASE = "chat_cache"
const CONNECT_TIMEOUT_MS = 5000

const { attempt } = ServerDirectory

interface Place {
  readonly home: string
  readonly account: ServerDirectory.Account | undefined
  readonly stagingDirectory: string
}

const idOf = async (flag: "-u" | "-g", name: string): Promise<number> =>
  Number((await promisify(execFile)("id", [flag, name])).stdout)

const unprivilegedAccount: Effect.Effect<ServerDirectory.Account, ServerNotStarted> = attempt(
  "PostgreSQL",
  "it does not run as root, and there is neither a user postgres nor a user nobody to run it as",
  async () => {
    const name = await idOf("-u", "postgres").then(
      () => "postgres",
      () => "nobody",
    )
    return { uid: await idOf("-u", name), gid: await idOf("-g", name) }
  },
)

const reaches = (account: ServerDirectory.Account, directory: string): Promise<boolean> =>
  promisify(execFile)("/bin/sh", ["-c", 'cd "$1"', "sh", directory], { cwd: "/", ...account }).then(
    () => true,
    () => false,
  )

const exists = (file: string): Promise<boolean> =>
  fs.access(file).then(
    () => true,
    () => false,
  )

/**
 * Data stays where it is. If its folder was closed to the server's account in the meantime, an empty database in
 * another place would look like a loss, so that is an error.
 */
const placeForRoot = Effect.fnUntraced(function* (directory: string) {
  const near = path.join(directory, "postgres")
  const far = ServerDirectory.systemHome(directory, "postgres")
  const owner = (yield* ServerDirectory.ownerOf(near)) ?? (yield* ServerDirectory.ownerOf(far))
  const account = owner ?? (yield* unprivilegedAccount)
  return yield* attempt("PostgreSQL", `cannot use ${directory}`, async (): Promise<Place> => {
    await fs.mkdir(directory, { recursive: true })
    const isReachable = await reaches(account, directory)
    const hasNear = await exists(path.join(near, "data"))
    if (hasNear && !isReachable)
      throw new Error(
        `the data in ${near} is owned by the user ${account.uid}, who can no longer get there; open the folders above it, or set CHAT_CACHE_DATA_DIR`,
      )
    const isNear = hasNear || (isReachable && !(await exists(path.join(far, "data"))))
    if (!isNear) {
      await ServerDirectory.makeReachable(ServerDirectory.SYSTEM_DIRECTORY)
      await ServerDirectory.makeReachable(path.dirname(far))
    }
    return { home: isNear ? near : far, account, stagingDirectory: ServerDirectory.SYSTEM_DIRECTORY }
  })
})

const placeFor = (directory: string): Effect.Effect<Place, ServerNotStarted> =>
  ServerDirectory.isRoot()
    ? placeForRoot(directory)
    : Effect.succeed({
        home: path.join(directory, "postgres"),
        account: undefined,
        stagingDirectory: directory,
      })

/** Only a finished cluster gets the name `data`: a daemon that is killed halfway leaves nothing that looks like one. */
const createCluster = (initdb: string, directory: ServerDirectory.ServerDirectory) =>
  attempt("PostgreSQL", "initdb failed", async () => {
    if (await exists(directory.data)) return
    const unfinished = `${directory.data}.${randomUUID()}`
    const initdbArguments = [
      `--pgdata=${unfinished}`,
      `--username=${USER}`,
      `--pwfile=${path.join(directory.path, "password")}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--no-instructions",
    ]
    try {
      await promisify(execFile)(initdb, initdbArguments, {
        cwd: directory.path,
        env: { PATH: process.env["PATH"] },
        ...directory.account,
      })
      await fs.rename(unfinished, directory.data)
    } finally {
      await fs.rm(unfinished, { recursive: true, force: true })
    }
  })

/** The log would otherwise quote rows that are refused, and with them the text of messages. */
const QUIET_LOG = {
  log_min_messages: "log",
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
  log_checkpoints: "off",
}

const serverArguments = (
  directory: ServerDirectory.ServerDirectory,
  port: number,
  settings: Readonly<Record<string, string>>,
): ReadonlyArray<string> => [
  "-D",
  directory.data,
  ...Object.entries({
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    timezone: "UTC",
    log_timezone: "UTC",
    ...QUIET_LOG,
    ...settings,
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
]

const urlOf = (directory: ServerDirectory.ServerDirectory, port: number, database: string): string =>
  `postgres://${USER}:${directory.password}@127.0.0.1:${port}/${database}?sslmode=disable`

const withClient = async <A>(url: string, use: (client: Client) => Promise<A>): Promise<A> => {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  client.on("error", () => {})
  try {
    await client.connect()
    return await use(client)
  } finally {
    await client.end()
  }
}

const codeOf = (cause: unknown): string =>
  cause instanceof DatabaseError && cause.code !== undefined ? cause.code : ""

/** Starting up, shutting down or recovering: what a server says of which an answer is to be expected soon. */
const NOT_YET = /^57P0/
const NO_SUCH_DATABASE = "3D000"

/** Asks the database itself, which it makes where it is missing: on the first start. */
const answers = (directory: ServerDirectory.ServerDirectory, port: number) =>
  attempt("PostgreSQL", "it refuses its own daemon", async (): Promise<boolean> => {
    try {
      await withClient(urlOf(directory, port, DATABASE), (client) => client.query("SELECT 1"))
      return true
    } catch (cause) {
      if (codeOf(cause) === NO_SUCH_DATABASE)
        await withClient(urlOf(directory, port, "postgres"), (client) =>
          client.query(`CREATE DATABASE ${DATABASE}`),
        )
      else if (cause instanceof DatabaseError && !NOT_YET.test(codeOf(cause))) throw cause
      return false
    }
  })

/** Says the server while a process of the one before it, which was killed, has not noticed its end. */
const PREVIOUS_STILL_ENDS = "pre-existing shared memory block"

/**
 * The lock on the directory tells that no other server runs on this data, so a process id that one left behind
 * belongs to some other program by now and would only keep this one from starting.
 */
const startServer = (options: ChildServer.ChildServerOptions) =>
  attempt("PostgreSQL", "cannot remove what the last server left", () =>
    fs.rm(path.join(options.directory.data, "postmaster.pid"), { force: true }),
  ).pipe(
    Effect.zipRight(ChildServer.start(options)),
    Effect.retry({
      schedule: Schedule.spaced("250 millis"),
      times: 40,
      while: (error) => error.reason.includes(PREVIOUS_STILL_ENDS),
    }),
    Effect.withClock(Clock.make()),
  )

/** Takes the directory for as long as the scope is open, makes the cluster, and does not start the server yet. */
export const make: (options: Options) => Effect.Effect<EmbeddedPostgres, EmbeddedServerError, Scope.Scope> =
  Effect.fn("PostgresServerEmbedded.make")(function* (options) {
    const place = yield* placeFor(path.resolve(options.directory))
    const binaries = yield* PostgresBinaries.locate(place)
    const directory = yield* ServerDirectory.open({
      server: "PostgreSQL",
      directory: place.home,
      account: place.account,
    })
    yield* createCluster(binaries.initdb, directory)
    const port = options.port ?? (yield* ChildServer.freePort("PostgreSQL"))
    const url = urlOf(directory, port, DATABASE)
    yield* attempt("PostgreSQL", `cannot write to ${place.home}`, () =>
      ServerDirectory.writePrivate(place.account, path.join(place.home, "url"), `${url}\n`),
    )
    const run = startServer({
      server: "PostgreSQL",
      directory,
      command: binaries.postgres,
      arguments: serverArguments(directory, port, options.settings ?? {}),
      // Ends open transactions and writes a checkpoint; SIGTERM would wait until every client has left.
      stopSignal: "SIGINT",
      isReady: answers(directory, port),
    })
    return { url: Redacted.make(url), port, path: place.home, run }
  })

/** Brings up a PostgreSQL, whose cluster and database are made on the first start. */
export const layer = (options: Options): Layer.Layer<PostgresServer, EmbeddedServerError> =>
  Layer.scoped(
    PostgresServer,
    Effect.gen(function* () {
      const embedded = yield* make(options)
      yield* ChildServer.keepRunning("PostgreSQL", embedded.run)
      return { url: embedded.url }
    }),
  )
