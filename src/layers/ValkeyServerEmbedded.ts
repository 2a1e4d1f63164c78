/**
 * A Valkey of the daemon's own. Its data is in `<directory>/valkey/data`, and `<directory>/valkey/url` holds the address
 * for people: `valkey-cli -u "$(cat .data/valkey/url)"`.
 */
import { Effect, Layer, Redacted, type Scope } from "effect"
import { Redis } from "iovalkey"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { promisify } from "node:util"
import {
  type EmbeddedServerError,
  ServerNotInstalled,
  type ServerNotStarted,
} from "../domain/EmbeddedServerErrors.ts"
import { ValkeyServer } from "../services/ValkeyServer.ts"
import * as ChildServer from "./ChildServer.ts"
import * as ServerDirectory from "./ServerDirectory.ts"

export interface Options {
  /** Where the daemon keeps its data; the server takes the folder `valkey` in it. */
  readonly directory: string
  /** On 127.0.0.1. Any free one unless given. */
  readonly port?: number
}

export interface EmbeddedValkey {
  readonly url: Redacted.Redacted<string>
  readonly port: number
  /** Starts the server, and stops it with the scope. One at a time. */
  readonly run: Effect.Effect<ChildServer.ChildServer, ServerNotStarted, Scope.Scope>
}

const REDIS_MAJOR_MIN = 7
const CONNECT_TIMEOUT_MS = 2000

const findInPath = async (name: string): Promise<string | undefined> => {
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    const file = path.join(folder, name)
    const found = await fs.access(file, fs.constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found && folder !== "") return file
  }
  return undefined
}

const redisMajor = async (command: string): Promise<number> => {
  const { stdout } = await promisify(execFile)(command, ["--version"])
  return Number(/v=(\d+)/.exec(stdout)?.[1] ?? 0)
}

const HOW_TO_INSTALL =
  "install it (Debian 13, Ubuntu 24.10 and later: `sudo apt-get install valkey-server`; macOS: `brew install valkey`)"

/** Redis 7 is taken where there is no Valkey: it speaks the same protocol and runs the same scripts. */
const findCommand: Effect.Effect<string, ServerNotInstalled | ServerNotStarted> = Effect.gen(function* () {
  const valkey = yield* Effect.promise(() => findInPath("valkey-server"))
  if (valkey !== undefined) return valkey
  const redis = yield* Effect.promise(() => findInPath("redis-server"))
  if (redis === undefined)
    return yield* new ServerNotInstalled({
      server: "Valkey",
      reason: `there is no valkey-server on the PATH; ${HOW_TO_INSTALL}`,
    })
  const major = yield* ServerDirectory.attempt("Valkey", `cannot run ${redis}`, () => redisMajor(redis))
  if (major < REDIS_MAJOR_MIN)
    return yield* new ServerNotInstalled({
      server: "Valkey",
      reason: `${redis} is older than version ${REDIS_MAJOR_MIN}; ${HOW_TO_INSTALL}`,
    })
  return redis
})

/** The process keeps its command line, by which it is recognised after the daemon has been killed. */
const configuration = (directory: ServerDirectory.ServerDirectory, port: number): string =>
  [
    "bind 127.0.0.1",
    `port ${port}`,
    "protected-mode yes",
    `requirepass ${directory.password}`,
    `dir ${JSON.stringify(directory.data)}`,
    "appendonly yes",
    "appendfsync everysec",
    'save ""',
    "maxmemory-policy noeviction",
    "daemonize no",
    "set-proc-title no",
    "",
  ].join("\n")

/** A server that is still loading its data refuses with an error, as one that is not there yet does. */
const answers = async (url: string): Promise<boolean> => {
  const client = new Redis(url, {
    lazyConnect: true,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: CONNECT_TIMEOUT_MS,
  })
  client.on("error", () => {})
  try {
    await client.connect()
    return (await client.ping()) === "PONG"
  } catch {
    return false
  } finally {
    client.disconnect()
  }
}

/** Takes the directory for as long as the scope is open, without starting the server yet. */
export const make: (options: Options) => Effect.Effect<EmbeddedValkey, EmbeddedServerError, Scope.Scope> =
  Effect.fn("ValkeyServerEmbedded.make")(function* (options) {
    const command = yield* findCommand
    const home = path.resolve(options.directory, "valkey")
    const account = yield* ServerDirectory.ownerOf(home)
    const directory = yield* ServerDirectory.open({ server: "Valkey", directory: home, account })
    const port = options.port ?? (yield* ChildServer.freePort("Valkey"))
    const url = `redis://:${directory.password}@127.0.0.1:${port}`
    const configurationFile = path.join(home, "valkey.conf")
    yield* ServerDirectory.attempt("Valkey", `cannot write to ${home}`, async () => {
      await fs.mkdir(directory.data, { recursive: true, mode: 0o700 })
      await ServerDirectory.giveTo(account, directory.data)
      await ServerDirectory.writePrivate(account, configurationFile, configuration(directory, port))
      await ServerDirectory.writePrivate(account, path.join(home, "url"), `${url}\n`)
    })
    const run = ChildServer.start({
      server: "Valkey",
      directory,
      command,
      arguments: [configurationFile],
      stopSignal: "SIGTERM",
      isReady: Effect.promise(() => answers(url)),
    })
    return { url: Redacted.make(url), port, run }
  })

/** Brings up a Valkey that keeps every write in its append-only file and evicts nothing. */
export const layer = (options: Options): Layer.Layer<ValkeyServer, EmbeddedServerError> =>
  Layer.scoped(
    ValkeyServer,
    Effect.gen(function* () {
      const embedded = yield* make(options)
      yield* ChildServer.keepRunning("Valkey", embedded.run)
      return { url: embedded.url }
    }),
  )
