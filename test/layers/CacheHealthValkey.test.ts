import { expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, TestClock } from "effect"
import { CacheUnavailable } from "../../src/domain/Errors.ts"
import * as CacheHealthValkey from "../../src/layers/CacheHealthValkey.ts"
import * as ValkeyLayer from "../../src/layers/valkey/Valkey.ts"
import { CacheHealth, type Finding } from "../../src/services/Health.ts"
import { Valkey, type ValkeyReply } from "../../src/services/Valkey.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { settingsLayer } from "../contracts/CacheBackend.ts"
import { ControlledValkey, controlledValkey } from "../support/Servers.ts"
import { rawClient } from "./valkey/rawClient.ts"

const found = (problems: ReadonlyArray<Finding>) => problems.map(({ check, severity }) => [check, severity])

const check = Effect.flatMap(CacheHealth, ({ findings }) => findings)

const onServer = CacheHealthValkey.layer.pipe(
  Layer.provide(ValkeyLayer.layer),
  Layer.provide(settingsLayer({})),
)

it.live("finds nothing on a server that is as it should be, and names everything that is not", () =>
  Effect.gen(function* () {
    const raw = yield* rawClient((yield* ControlledValkey).url)
    const { findings: problems } = Context.get(yield* Layer.build(onServer), CacheHealth)
    const after = (...commands: ReadonlyArray<readonly [string, ...Array<string>]>) =>
      Effect.promise(async () => {
        for (const [name, ...args] of commands) await raw.call(name, ...args)
      }).pipe(Effect.zipRight(problems))

    expect(yield* problems).toEqual([])

    expect(found(yield* after(["config", "set", "maxmemory-policy", "allkeys-lru"]))).toEqual([
      ["maxmemory-policy", "unsafe"],
    ])
    const [volatile] = yield* after(["config", "set", "maxmemory-policy", "volatile-ttl"])
    expect(volatile).toMatchObject({ check: "maxmemory-policy", severity: "warning" })
    expect(volatile?.reason).toContain("CONFIG SET maxmemory-policy noeviction")

    const [appendOnly, ...others] = yield* after(
      ["config", "set", "maxmemory-policy", "noeviction"],
      ["config", "set", "appendonly", "no"],
    )
    expect(others).toEqual([])
    expect(appendOnly).toMatchObject({ check: "appendonly", severity: "warning" })
    // With appendfsync everysec Valkey answers before it writes for as long as the disk is busy.
    expect(appendOnly?.reason).toContain("with the end of the process only what a slow disk has kept")
    expect(appendOnly?.reason).toMatch(/since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z, \d+ changes/)

    const keyTypes = yield* after(
      ["config", "set", "appendonly", "yes"],
      ["set", "flush_messages", "x"],
      ["rpush", "cache_private_message_id", "x"],
      ["set", "ratelimit_settings", "x"],
      ["rpush", "recent_messages", "x"],
      ["set", "cache_message_id", "1"],
    )
    expect(found(keyTypes)).toEqual(Array.from({ length: 3 }, () => ["key-types", "unsafe"]))
    expect(keyTypes[0]?.reason).toContain("flush_messages holds a string where a list belongs")

    const replica = yield* after(["flushall"], ["replicaof", "127.0.0.1", "1"])
    expect(found(replica)).toEqual([["role", "blocking"]])
    expect(replica[0]?.reason).toContain("replica of 127.0.0.1:1")
    expect(found(yield* after(["replicaof", "no", "one"]))).toEqual([])
  }).pipe(Effect.scoped, Effect.provide(controlledValkey)),
)

it.scopedLive("says which rights its user lacks", () =>
  Effect.gen(function* () {
    const server = yield* ControlledValkey
    const raw = yield* rawClient(server.url)
    yield* Effect.promise(() => raw.acl("SETUSER", "app", "on", ">app", "~*", "+@all", "-info"))
    const url = new URL(Redacted.value(server.url))
    url.username = "app"
    url.password = "app"
    const problems = yield* check.pipe(
      Effect.provide(onServer),
      Effect.provideService(ValkeyServer, { url: Redacted.make(url.href) }),
    )
    expect(found(problems)).toEqual([["permissions", "unsafe"]])
    expect(problems[0]?.reason).toContain("lacks rights that chat-cache needs: INFO.")
  }).pipe(Effect.provide(controlledValkey)),
)

const answering = (reply: Effect.Effect<ReadonlyArray<ValkeyReply>, CacheUnavailable>) =>
  CacheHealthValkey.layer.pipe(
    Layer.provide(
      Layer.mock(Valkey, {
        address: "valkey:6379",
        problem: Effect.succeed(undefined),
        sendAll: () => reply,
        run: () => Effect.as(reply, []),
      }),
    ),
    Layer.provide(settingsLayer({})),
  )

const healthy = {
  redis_version: "7.2.4",
  role: "master",
  maxmemory_policy: "noeviction",
  aof_enabled: "1",
  aof_last_write_status: "ok",
}

const infoWith = (changes: Readonly<Record<string, string | undefined>>) =>
  Effect.succeed([
    `# Server\r\n${Object.entries({ ...healthy, ...changes })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}:${value}\r\n`)
      .join("")}`,
    ...Array.from({ length: 8 }, () => "none"),
  ])

it.effect.each([
  [{}, []],
  [{ redis_version: "6.2.14" }, [["version", "unsafe"]]],
  [{ redis_version: undefined }, [["version", "unsafe"]]],
  [{ maxmemory_policy: undefined }, [["maxmemory-policy", "unsafe"]]],
  [{ aof_last_write_status: "err" }, [["appendonly-write", "blocking"]]],
] as const)("judges %j", ([changes, expected]) =>
  Effect.gen(function* () {
    expect(found(yield* check)).toEqual(expected)
  }).pipe(Effect.provide(answering(infoWith(changes)))),
)

it.effect("says so when the server cannot be asked", () => {
  const error = new CacheUnavailable({ operation: "check", execution: "refused", reason: "not connected" })
  return Effect.gen(function* () {
    expect(yield* check).toEqual([
      {
        check: "valkey",
        severity: "blocking",
        reason: "Valkey at valkey:6379 does not answer: not connected.",
      },
    ])
  }).pipe(Effect.provide(answering(Effect.fail(error))))
})

it.effect("does not wait longer than two seconds for a server that hangs", () =>
  Effect.gen(function* () {
    const asked = yield* Effect.fork(check)
    yield* TestClock.adjust("2 seconds")
    expect(found(yield* Fiber.join(asked))).toEqual([["valkey", "blocking"]])
  }).pipe(Effect.provide(answering(Effect.never))),
)
