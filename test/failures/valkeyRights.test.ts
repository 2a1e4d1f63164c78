/** A Valkey user that may do too little: the daemon does not start, and says all that is missing. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { vi } from "vitest"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import * as CacheHealthValkey from "../../src/layers/CacheHealthValkey.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import * as Rights from "../../src/layers/valkey/Rights.ts"
import * as ValkeyLayer from "../../src/layers/valkey/Valkey.ts"
import { CacheHealth } from "../../src/services/Health.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { settingsLayer } from "../contracts/CacheBackend.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import { scriptNames, scriptText } from "../lua/scripting.ts"
import * as Accounts from "../support/Accounts.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { ControlledValkey, controlledValkey, freshDatabase } from "../support/Servers.ts"

vi.setConfig({ testTimeout: 90_000 })

const rights = Rights.make(Keys.make("chat:"))
const commands = [...new Set(rights.map(({ command: [name] }) => name))]
const keys = [...new Set(rights.flatMap(({ key }) => (key === undefined ? [] : [key])))]

/** The tables of rights, and nothing else: what the daemon says that it needs is what it needs. */
const exactly = ["reset", "on", ">app", "~chat:*", ...commands.map((name) => `+${name}`)]

/** A user of its own, who may do what the rules say. */
const user = (...rules: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { url } = yield* ControlledValkey
    const raw = yield* rawClient(url)
    yield* Effect.promise(() => raw.acl("SETUSER", "app", ...rules))
    const asUser = new URL(Redacted.value(url))
    asUser.username = "app"
    asUser.password = "app"
    return asUser.href
  }).pipe(Effect.scoped)

const servers = Layer.merge(controlledValkey, freshDatabase)

it("each command that a script calls is one of the rights", () => {
  const called = scriptNames.flatMap((name) =>
    [...scriptText(name).matchAll(/\b(?:p?call|attempt)\('([A-Z]+)'/g)].map((match) =>
      match[1]!.toLowerCase(),
    ),
  )
  assert.isAbove(called.length, 0)
  assert.includeMembers(commands, called)
})

it.live("each right alone is missed by its name: each command, and each key", () =>
  Effect.gen(function* () {
    const url = yield* user(...exactly)
    const health = yield* Layer.build(
      CacheHealthValkey.layer.pipe(
        Layer.provide(ValkeyLayer.layer),
        Layer.provide(settingsLayer({ keyPrefix: "chat:" })),
        Layer.provide(Layer.succeed(ValkeyServer, { url: Redacted.make(url) })),
      ),
    )
    const { findings } = Context.get(health, CacheHealth)
    assert.deepStrictEqual(yield* findings, [])
    const missedWithout = (expected: string, ...rules: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        yield* user(...exactly, ...rules)
        const [finding, ...others] = yield* findings
        assert.deepInclude(finding, { check: "permissions", severity: "unsafe" })
        assert.include(finding?.reason.toLowerCase(), expected)
        assert.deepStrictEqual(others, [])
      })
    // Who must not even run scripts is told so by Valkey itself.
    for (const name of commands) yield* missedWithout(name, `-${name}`)
    for (const key of keys) {
      const others = keys.filter((other) => other !== key)
      yield* missedWithout(`on ${key}`, "resetkeys", ...others.map((other) => `~${other}`))
    }
  }).pipe(Effect.scoped, Effect.provide(controlledValkey)),
)

it.live("a user with exactly these rights is enough for everything that the daemon does", () =>
  Effect.gen(function* () {
    const url = yield* user(...exactly)
    const accounts = yield* Accounts.make("chat:")
    const environment = { VALKEY_URL: url, CHAT_CACHE_KEY_PREFIX: "chat:" }
    const daemon = yield* Daemon.startReady({ environment })
    const said = yield* accounts.publishAll(daemon.url, 5)
    const secret = yield* accounts.publishAll(daemon.url, 5, "private")
    const ask = (method: "GET" | "POST" | "PUT" | "DELETE", route: string, body?: unknown) =>
      Effect.map(Daemon.request(method, `${daemon.url}${route}`, body), ({ status }) =>
        assert.oneOf(status, [200, 204], route),
      )
    for (const messageId of [said[0]!, secret[0]!]) yield* accounts.enter("lost", [messageId])
    yield* ask("DELETE", `/messages/${said[0]}`)
    yield* ask("DELETE", `/private-messages/${secret[0]}`)
    yield* ask("GET", "/messages/recent")
    yield* ask("GET", "/private-messages/recent/2")
    yield* ask("PUT", "/rate-limit", { message_limit: 5, window_seconds: 5 })
    yield* ask("GET", "/rate-limit")
    yield* ask("DELETE", "/private-messages/recent/2")
    yield* ask("DELETE", "/private-messages/recent")
    yield* ask("POST", "/flush")
    yield* accounts.settle(daemon)
    assert.notInclude(yield* daemon.output, "NOPERM")
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("the start is refused with exit code 78, with all that is missing, and without the password", () =>
  Effect.gen(function* () {
    yield* PostgresServer
    const url = yield* user(...exactly, "-ltrim", "-scan", "-incrby", ">secret-of-app")
    const daemon = yield* Daemon.run({ environment: { VALKEY_URL: url, CHAT_CACHE_KEY_PREFIX: "chat:" } })
    assert.strictEqual(yield* daemon.exited, 78)
    const output = yield* daemon.output
    assert.match(output, /lacks rights that chat-cache needs: SCAN; LTRIM on chat:flush_messages; /)
    assert.match(output, /INCRBY on chat:cache_message_id/)
    assert.notMatch(output, /secret-of-app/)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)
