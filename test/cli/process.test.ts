/** The command line as a program: help, exit codes, terminals, and servers that are not there. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { readFile } from "node:fs/promises"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { version } from "../../src/layers/version.ts"
import * as CommandLine from "../support/CommandLine.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import {
  controlledPostgres,
  ControlledPostgres,
  controlledValkey,
  freshDatabase,
  query,
} from "../support/Servers.ts"
import { onServersIt } from "./world.ts"

const { chatCache } = CommandLine

const timeout = 240_000

const manual = Effect.promise(() => readFile(new URL("../../docs/cli.md", import.meta.url), "utf8"))
const readme = Effect.promise(() => readFile(new URL("../../README.md", import.meta.url), "utf8"))

describe("the command line", () => {
  it.live(
    "is documented as it is",
    () =>
      Effect.gen(function* () {
        const { stdout, code } = yield* chatCache(["--help"])
        assert.strictEqual(code, 0)
        const commands = stdout
          .slice(stdout.indexOf("COMMANDS"), stdout.indexOf("EXAMPLES"))
          .replaceAll("\n\n", "\n")
        assert.include(yield* manual, commands.trim())
        const exitCodes = stdout.slice(stdout.indexOf("EXIT CODES")).replaceAll("\n\n", "\n")
        assert.include(yield* manual, exitCodes.trim())
      }),
    timeout,
  )

  it.live(
    "lists with serve all settings of the README",
    () =>
      Effect.gen(function* () {
        const { stdout } = yield* chatCache(["serve", "--help"])
        const documented =
          (yield* readme).match(/^\|.*`(?:VALKEY_URL|DATABASE_URL|CHAT_CACHE_[A-Z_]+)`.*$/gm) ?? []
        const names = documented.flatMap((line) => line.split("|")[1]!.match(/[A-Z][A-Z_]+/g) ?? [])
        assert.isAbove(names.length, 10)
        for (const name of names) assert.include(stdout, ` ${name} `)
      }),
    timeout,
  )

  it.live(
    "shows how each command is used, with examples",
    () =>
      Effect.gen(function* () {
        const { stdout, stderr, code } = yield* chatCache(["quarantine", "replay", "--help"])
        assert.deepStrictEqual([code, stderr], [0, ""])
        assert.include(stdout, "$ chat-cache quarantine replay [--all]")
        assert.include(stdout, "chat-cache quarantine replay 7 --edit")
        assert.notInclude(stdout, "\u001b")
        assert.strictEqual((yield* chatCache(["--version"])).stdout.trim(), version)
        assert.include((yield* chatCache(["--completions", "bash"])).stdout, "complete -F")
      }),
    timeout,
  )

  const misuses: ReadonlyArray<ReadonlyArray<string>> = [
    ["statu"],
    ["status", "--jso"],
    ["status", "--url", "localhost"],
    ["quarantine", "show", "seven"],
    ["quarantine", "list", "--reason", "boredom"],
    ["quarantine", "replay"],
    ["recent", "--limit", "0"],
    ["private", "clear"],
    ["send", "--owner-id", "1", "--username", "ada", "Hello"],
    ["events", "--type", "Nothing"],
    ["rate-limit", "set", "many", "60"],
  ]
  it.live(
    "ends with 64 when it is misused, with one sentence on standard error",
    () =>
      Effect.forEach(
        misuses,
        Effect.fnUntraced(function* (args) {
          // Whether there are servers does not matter.
          const environment = { VALKEY_URL: "redis://127.0.0.1:1", DATABASE_URL: "postgres://127.0.0.1:1/x" }
          const { code, stdout, error } = yield* chatCache([...args, "--json"], { environment })
          assert.deepStrictEqual([args, code, stdout], [args, 64, ""])
          assert.strictEqual(error._tag, "UsageError")
        }),
        { concurrency: 2, discard: true },
      ),
    timeout,
  )

  it.live(
    "says what to do when there is no server, no daemon, or a wrong address",
    () =>
      Effect.gen(function* () {
        const [nothing, wrong, nobody, down] = yield* Effect.all(
          [
            chatCache(["status"], { environment: { CHAT_CACHE_DATA_DIR: "/nonexistent" } }),
            chatCache(["status", "--json"], {
              environment: { VALKEY_URL: "http://x", DATABASE_URL: "postgres://x/y" },
            }),
            chatCache(["status", "--json", "--url", "http://127.0.0.1:9"]),
            chatCache(["recent", "--json"], {
              environment: { VALKEY_URL: "redis://127.0.0.1:9", DATABASE_URL: "postgres://127.0.0.1:9/x" },
            }),
          ],
          { concurrency: 2 },
        )
        assert.strictEqual(nothing.code, 1)
        assert.match(
          nothing.stderr,
          /^No daemon runs a \w+ on the data in \/nonexistent: [^\n]*--url[^\n]*\n$/,
        )
        assert.deepStrictEqual([wrong.code, wrong.error._tag], [78, "ConfigError"])
        assert.deepStrictEqual([nobody.code, nobody.error._tag], [1, "DaemonUnreachable"])
        assert.deepStrictEqual([down.code, down.error._tag], [1, "CacheUnavailable"])
      }),
    timeout,
  )

  it.scopedLive(
    "tells that a daemon wants a token, or another one",
    () =>
      Effect.gen(function* () {
        const { url } = yield* Daemon.start({ environment: { CHAT_CACHE_API_TOKEN: "secret" } })
        const { code, error } = yield* chatCache(["status", "--json", "--url", url])
        assert.deepStrictEqual([code, error._tag], [1, "Unauthorized"])
      }).pipe(Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
    timeout,
  )
})

describe("migrate", () => {
  it.scopedLive(
    "tells what is missing, applies it once, and other commands say that it is missing",
    () =>
      Effect.gen(function* () {
        const environment = yield* CommandLine.serverEnvironment
        const run = (...args: ReadonlyArray<string>) => chatCache([...args, "--json"], { environment })
        const missing = yield* run("migrate", "--check")
        assert.strictEqual(missing.code, 1)
        assert.include(missing.json.pending, "0001_messages")
        const early = yield* run("quarantine", "list")
        assert.strictEqual(early.code, 1)
        assert.include(early.error.message, "chat-cache migrate")
        const applied = yield* run("migrate")
        assert.deepStrictEqual([applied.code, applied.json.applied], [0, missing.json.pending])
        assert.deepStrictEqual((yield* run("migrate")).json, { applied: [] })
        assert.deepStrictEqual((yield* run("migrate", "--check")).json, { pending: [] })
      }).pipe(Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
    timeout,
  )
})

type Checks = ReadonlyArray<Record<string, string>>

const examineWith = (environment: Record<string, string>) =>
  Effect.map(chatCache(["doctor", "--json"], { environment }), ({ code, json }) => ({
    code,
    ...(json as { readonly healthy: boolean; readonly checks: Checks }),
  }))

const finding = (checks: Checks, name: string) => checks.find(({ check }) => check === name)

describe("doctor", () => {
  it.scopedLive(
    "passes on healthy servers, and finds what is wrong with others",
    () =>
      Effect.gen(function* () {
        const environment = yield* CommandLine.serverEnvironment
        const examine = examineWith(environment)
        const early = yield* examine
        assert.deepStrictEqual([early.code, early.healthy], [1, false])
        assert.deepInclude(finding(early.checks, "schema"), { severity: "error" })

        yield* chatCache(["migrate"], { environment })
        const healthy = yield* examine
        assert.deepStrictEqual(
          healthy.checks.filter(({ severity }) => severity !== "ok" && severity !== "notice"),
          [],
        )
        assert.strictEqual(healthy.code, 0)
        assert.include(finding(healthy.checks, "appendfsync")?.["reason"], "two seconds")

        const { url } = yield* PostgresServer
        yield* query(
          url,
          "INSERT INTO chat_messages (message_id, cache_id, owner_id, username, channel, message, authored_at) VALUES (gen_random_uuid(), 99, '1', 'ada', 'general', 'x', now())",
        )
        const changed = yield* examine
        assert.strictEqual(changed.code, 1)
        assert.deepInclude(finding(changed.checks, "rows"), { severity: "error" })

        const { stop } = yield* ControlledPostgres
        yield* stop
        const stopped = yield* chatCache(["doctor"], { environment })
        assert.strictEqual(stopped.code, 1)
        assert.match(stopped.stdout, /✗ postgres: PostgreSQL is unavailable/)
        assert.match(stopped.stdout, /✓ valkey: /)
      }).pipe(Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
    timeout,
  )

  it.scopedLive(
    "names an unlogged table, and what of PostgreSQL puts stored messages at risk besides",
    () =>
      Effect.gen(function* () {
        const environment = yield* CommandLine.serverEnvironment
        const { url } = yield* PostgresServer
        yield* chatCache(["migrate"], { environment })
        yield* query(url, "ALTER TABLE chat_messages SET UNLOGGED")
        const unlogged = yield* examineWith(environment)
        assert.deepStrictEqual([unlogged.code, unlogged.healthy], [1, false])
        const table = finding(unlogged.checks, "postgres-unlogged-tables")
        assert.strictEqual(table?.["severity"], "error")
        assert.include(table?.["reason"], "ALTER TABLE chat_messages SET LOGGED")
        assert.deepInclude(finding(unlogged.checks, "postgres-fsync"), { severity: "ok" })

        yield* query(url, "ALTER TABLE chat_messages SET LOGGED")
        const repaired = yield* examineWith(environment)
        assert.deepInclude(finding(repaired.checks, "postgres-unlogged-tables"), { severity: "ok" })
      }).pipe(Effect.provide(Layer.merge(controlledValkey, freshDatabase))),
    timeout,
  )

  it.scopedLive(
    "says nothing of settings that it could not ask for: a PostgreSQL that is read-only",
    () =>
      Effect.gen(function* () {
        const environment = yield* CommandLine.serverEnvironment
        const { url } = yield* PostgresServer
        yield* chatCache(["migrate"], { environment })
        const database = new URL(Redacted.value(url)).pathname.slice(1)
        yield* query(url, `ALTER DATABASE ${database} SET default_transaction_read_only = on`)
        const { checks, code } = yield* examineWith(environment)
        assert.strictEqual(code, 1)
        assert.strictEqual(finding(checks, "postgres")?.["severity"], "error")
        assert.include(finding(checks, "postgres")?.["reason"], "point DATABASE_URL to the primary")
        assert.isUndefined(finding(checks, "postgres-fsync"))
      }).pipe(Effect.provide(Layer.merge(controlledValkey, freshDatabase))),
    timeout,
  )

  it.scopedLive(
    "and send refuse a Valkey that may drop the queue",
    () =>
      Effect.gen(function* () {
        const environment = yield* CommandLine.serverEnvironment
        const { ValkeyServer } = yield* Effect.promise(() => import("../../src/services/ValkeyServer.ts"))
        const { Redacted } = yield* Effect.promise(() => import("effect"))
        const { Redis } = yield* Effect.promise(() => import("iovalkey"))
        const server = yield* ValkeyServer
        yield* Effect.promise(async () => {
          const client = new Redis(Redacted.value(server.url))
          await client.config("SET", "maxmemory-policy", "allkeys-lru")
          client.disconnect()
        })
        yield* chatCache(["migrate"], { environment })
        const sent = yield* chatCache(
          ["send", "--owner-id", "1", "--username", "ada", "--channel", "general", "Hello", "--json"],
          { environment },
        )
        assert.deepStrictEqual([sent.code, sent.error._tag], [78, "UnsafeConfiguration"])
        assert.strictEqual((yield* chatCache(["doctor"], { environment })).code, 1)
      }).pipe(Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
    timeout,
  )
})

const quoted = (args: ReadonlyArray<string>) => args.map((arg) => `'${arg}'`).join(" ")

/** On a pseudo-terminal: `script` of util-linux, which other systems have in another form. */
const onTerminal = (args: ReadonlyArray<string>, environment: Record<string, string>, input: string) =>
  CommandLine.runProgram(
    "script",
    ["--quiet", "--return", "--command", quoted([process.execPath, CommandLine.entry, ...args]), "/dev/null"],
    { environment: { ...environment, TERM: "xterm" }, input },
  )

onServersIt("asks on a terminal before what cannot be undone, and colours what it prints", ({ keyPrefix }) =>
  Effect.gen(function* () {
    const environment = { ...(yield* CommandLine.serverEnvironment), CHAT_CACHE_KEY_PREFIX: keyPrefix }
    const clear = ["private", "clear", "--all"]
    const declined = yield* onTerminal(clear, environment, "n")
    assert.include(declined.stdout, "This drops the private caches of all users. Go on?")
    assert.strictEqual(declined.code, 64)
    const confirmed = yield* onTerminal(clear, environment, "y")
    assert.include(confirmed.stdout, "0 private caches dropped.")
    assert.strictEqual(confirmed.code, 0)
    assert.include((yield* onTerminal(["status"], environment, "")).stdout, "\u001b[32mok\u001b[39m")
  }),
)

onServersIt("follows the journal until it is interrupted", ({ run, keyPrefix }) =>
  Effect.gen(function* () {
    const environment = { CHAT_CACHE_KEY_PREFIX: keyPrefix, ARGUMENTS: "events --follow --json" }
    const following = yield* Daemon.run({ environment, entry: "test/support/runCommandLine.ts" })
    yield* run(["rate-limit", "set", "7", "60"])
    yield* eventually(
      "the new rate limit is told",
      Effect.map(following.output, (output) => output.includes('"message_limit":7')),
      "60 seconds",
    )
    yield* following.signal("SIGINT")
    assert.strictEqual(yield* following.exited, 0)
  }),
)

it.scopedLive(
  "serve is the daemon, and another command finds its servers by the data directory",
  () =>
    Effect.gen(function* () {
      const { inject } = yield* Effect.promise(() => import("vitest"))
      const CHAT_CACHE_DATA_DIR = `${inject("temporaryDirectory")}/${crypto.randomUUID()}`
      const environment = {
        CHAT_CACHE_DATA_DIR,
        VALKEY_URL: undefined,
        DATABASE_URL: undefined,
        ARGUMENTS: "serve",
      }
      const daemon = yield* Daemon.start({ environment, entry: "test/support/runCommandLine.ts" })
      const { code, json, stderr } = yield* chatCache(["status", "--json"], {
        environment: { CHAT_CACHE_DATA_DIR },
      })
      assert.deepStrictEqual([code, json?.status], [0, "ok"], stderr)
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.exited, 0, yield* daemon.output)
      const after = yield* chatCache(["status", "--json"], { environment: { CHAT_CACHE_DATA_DIR } })
      assert.deepStrictEqual([after.code, after.error._tag], [1, "ServerNotRunning"])
    }).pipe(Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
  timeout,
)
