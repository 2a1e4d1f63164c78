import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, type Scope } from "effect"
import { Redis } from "iovalkey"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { inject, vi } from "vitest"
import * as PostgresServerEmbedded from "../../src/layers/PostgresServerEmbedded.ts"
import * as ValkeyServerEmbedded from "../../src/layers/ValkeyServerEmbedded.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { eventually } from "../support/eventually.ts"
import { query } from "../support/Servers.ts"

const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const directory = path.join(inject("temporaryDirectory"), `servers ${randomUUID()}`)
    await fs.mkdir(directory)
    return directory
  }),
  (directory) => Effect.promise(() => fs.rm(directory, { recursive: true, force: true })),
)

/** With a finished cluster in it, which spares the test the making of one. */
const preparedDirectory = Effect.tap(temporaryDirectory, (directory) =>
  Effect.promise(() =>
    promisify(execFile)("cp", ["-a", inject("postgresTemplate"), path.join(directory, "postgres")]),
  ),
)

const servers = (directory: string) =>
  Layer.merge(ValkeyServerEmbedded.layer({ directory }), PostgresServerEmbedded.layer({ directory }))

const valkeyCommand = <A>(url: Redacted.Redacted<string>, use: (client: Redis) => Promise<A>) =>
  Effect.promise(async () => {
    const client = new Redis(Redacted.value(url), { retryStrategy: () => null })
    client.on("error", () => {})
    try {
      return await use(client)
    } finally {
      client.disconnect()
    }
  })

const serverPids = (directory: string): Effect.Effect<ReadonlyArray<number>> =>
  Effect.promise(() =>
    Promise.all(
      ["valkey", "postgres"].map(async (name) =>
        Number(await fs.readFile(path.join(directory, name, "process"), "utf8")),
      ),
    ),
  )

/** Every process that names the directory in its command line: the servers, their guards, whatever they started. */
const processesOf = (directory: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    const pids = (await fs.readdir("/proc")).filter((name) => /^\d+$/.test(name))
    const lines = await Promise.all(
      pids.map((pid) => fs.readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
    )
    return lines.filter((line) => line.includes(directory))
  })

const noProcessesOf = (directory: string) =>
  eventually(
    `no process of ${directory} is left`,
    Effect.map(processesOf(directory), (lines) => lines.length === 0),
  )

const holdServers = (directory: string): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<ChildProcess>((resume) => {
      const program = fileURLToPath(new URL("../support/holdServers.ts", import.meta.url))
      const child = spawn(process.execPath, [program, directory], { stdio: ["ignore", "pipe", "inherit"] })
      child.stdout.once("data", () => resume(Effect.succeed(child)))
      child.once("exit", (code) => resume(Effect.dieMessage(`ended with ${code} before the servers ran`)))
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL")),
  )

describe("embedded servers", () => {
  it.scopedLive("answer, and keep their data over a restart", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.gen(function* () {
        const valkey = yield* ValkeyServer
        const postgres = yield* PostgresServer
        yield* valkeyCommand(valkey.url, (client) => client.rpush("list", "kept"))
        yield* query(postgres.url, "CREATE TABLE kept AS SELECT 'kept' AS word")
      }).pipe(Effect.provide(servers(directory)))
      yield* noProcessesOf(directory)

      yield* Effect.gen(function* () {
        const valkey = yield* ValkeyServer
        const postgres = yield* PostgresServer
        const list = yield* valkeyCommand(valkey.url, (client) => client.lrange("list", 0, -1))
        assert.deepStrictEqual(list, ["kept"])
        assert.deepStrictEqual(yield* query(postgres.url, "SELECT word FROM kept"), [{ word: "kept" }])
      }).pipe(Effect.provide(servers(directory)))
      yield* noProcessesOf(directory)
    }),
  )

  it.scopedLive("are set up to lose nothing, and let nobody in without the password", () =>
    Effect.gen(function* () {
      const directory = yield* preparedDirectory
      yield* Effect.gen(function* () {
        const valkey = yield* ValkeyServer
        const postgres = yield* PostgresServer
        const policy = yield* valkeyCommand(valkey.url, (client) => client.config("GET", "maxmemory-policy"))
        assert.deepStrictEqual(policy, ["maxmemory-policy", "noeviction"])
        const appendonly = yield* valkeyCommand(valkey.url, (client) => client.config("GET", "appendonly"))
        assert.deepStrictEqual(appendonly, ["appendonly", "yes"])
        assert.deepStrictEqual(yield* query(postgres.url, "SHOW fsync"), [{ fsync: "on" }])
        assert.deepStrictEqual(yield* query(postgres.url, "SHOW synchronous_commit"), [
          { synchronous_commit: "on" },
        ])

        const withoutPassword = (url: Redacted.Redacted<string>) => {
          const changed = new URL(Redacted.value(url))
          changed.password = "wrong"
          return Redacted.make(changed.href)
        }
        const ping = yield* Effect.exit(valkeyCommand(withoutPassword(valkey.url), (client) => client.ping()))
        assert.isTrue(Exit.isFailure(ping))
        const select = yield* Effect.exit(query(withoutPassword(postgres.url), "SELECT 1"))
        assert.isTrue(Exit.isFailure(select))
      }).pipe(Effect.provide(servers(directory)))
    }),
  )

  it.scopedLive("refuse a directory that is in use, and say what to do", () =>
    Effect.gen(function* () {
      const directory = yield* preparedDirectory
      yield* Effect.gen(function* () {
        const valkey = yield* Effect.flip(
          Effect.scoped(Layer.build(Layer.fresh(ValkeyServerEmbedded.layer({ directory })))),
        )
        const postgres = yield* Effect.flip(
          Effect.scoped(Layer.build(Layer.fresh(PostgresServerEmbedded.layer({ directory })))),
        )
        assert.strictEqual(valkey._tag, "ServerDirectoryInUse")
        assert.strictEqual(
          valkey.message,
          `${directory}/valkey is already in use by another chat-cache; set CHAT_CACHE_DATA_DIR or VALKEY_URL.`,
        )
        assert.strictEqual(postgres._tag, "ServerDirectoryInUse")
        assert.strictEqual(
          postgres.message,
          `${directory}/postgres is already in use by another chat-cache; set CHAT_CACHE_DATA_DIR or DATABASE_URL.`,
        )
      }).pipe(Effect.provide(servers(directory)))
    }),
  )

  it.scopedLive("do not outlive a daemon that is killed, and start again at once on the same data", () =>
    Effect.gen(function* () {
      const directory = yield* preparedDirectory
      const daemon = yield* holdServers(directory)
      daemon.kill("SIGKILL")
      // No waiting here: the servers of the killed daemon are still there when the next one starts.
      yield* Effect.scoped(Layer.build(servers(directory)))
      yield* noProcessesOf(directory)
    }),
  )

  it.scopedLive("start again on their data after everything was killed at once", () =>
    Effect.gen(function* () {
      const directory = yield* preparedDirectory
      const daemon = yield* holdServers(directory)
      const pids = yield* serverPids(directory)
      for (const pid of [daemon.pid as number, ...pids]) process.kill(pid, "SIGKILL")
      yield* Effect.scoped(Layer.build(servers(directory)))
      yield* noProcessesOf(directory)
    }),
  )

  it.scopedLive("come back when they are killed under a living daemon", () =>
    Effect.gen(function* () {
      const directory = yield* preparedDirectory
      yield* Effect.gen(function* () {
        const valkey = yield* ValkeyServer
        const postgres = yield* PostgresServer
        for (const pid of yield* serverPids(directory)) process.kill(pid, "SIGKILL")
        const succeeds = <A>(effect: Effect.Effect<A>) => Effect.map(Effect.exit(effect), Exit.isSuccess)
        yield* eventually(
          "Valkey answers again",
          succeeds(valkeyCommand(valkey.url, (client) => client.ping())),
        )
        yield* eventually("PostgreSQL answers again", succeeds(query(postgres.url, "SELECT 1")))
      }).pipe(Effect.provide(servers(directory)))
      yield* noProcessesOf(directory)
    }),
  )

  it.scopedLive("say what is missing when there is no Valkey on the machine", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.stubEnv("PATH", directory)),
        () => Effect.sync(() => vi.unstubAllEnvs()),
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(ValkeyServerEmbedded.layer({ directory }))))
      assert.strictEqual(error._tag, "ServerNotInstalled")
      assert.match(error.message, /install it .* or set VALKEY_URL/)
    }),
  )
})
