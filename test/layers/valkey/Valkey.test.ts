import { expect, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Fiber, Layer, Logger, LogLevel, Redacted, Scope } from "effect"
import { inject } from "vitest"
import * as FlushQueueValkey from "../../../src/layers/FlushQueueValkey.ts"
import * as MessageCacheValkey from "../../../src/layers/MessageCacheValkey.ts"
import type { ConnectionOptions } from "../../../src/layers/valkey/Connection.ts"
import * as ValkeyLayer from "../../../src/layers/valkey/Valkey.ts"
import { FlushQueue } from "../../../src/services/FlushQueue.ts"
import { MessageCache } from "../../../src/services/MessageCache.ts"
import { Valkey } from "../../../src/services/Valkey.ts"
import { ValkeyServer } from "../../../src/services/ValkeyServer.ts"
import { publication, publications, settingsLayer } from "../../contracts/CacheBackend.ts"
import { ControlledValkey, controlledValkey, uniqueKeyPrefix } from "../../support/Servers.ts"
import * as TcpProxy from "../../support/TcpProxy.ts"
import { eventually } from "../../support/eventually.ts"
import { rawClient } from "./rawClient.ts"

/** Short enough that a test may wait for them. */
const impatient: Partial<ConnectionOptions> = {
  socketTimeout: Duration.millis(250),
  commandTimeout: Duration.millis(400),
  reconnectDelay: Duration.millis(50),
  startTimeout: Duration.millis(50),
  closeTimeout: Duration.millis(200),
}

const ports = (url: string, options: Partial<ConnectionOptions>) =>
  Layer.unwrapEffect(
    Effect.map(uniqueKeyPrefix, (keyPrefix) =>
      Layer.mergeAll(MessageCacheValkey.layer, FlushQueueValkey.layer).pipe(
        Layer.provideMerge(ValkeyLayer.layerWith(options)),
        Layer.provide(settingsLayer({ keyPrefix })),
        Layer.provide(Layer.succeed(ValkeyServer, { url: Redacted.make(url) })),
      ),
    ),
  )

const connectLogging = (url: string, options: Partial<ConnectionOptions> = impatient) =>
  Effect.map(Layer.build(ports(url, options)), (context) => ({
    valkey: Context.get(context, Valkey),
    cache: Context.get(context, MessageCache),
    flushQueue: Context.get(context, FlushQueue),
  }))

const connect = (url: string, options?: Partial<ConnectionOptions>) =>
  Logger.withMinimumLogLevel(connectLogging(url, options), LogLevel.None)

const connected = (valkey: typeof Valkey.Service) =>
  eventually(
    "the client is connected",
    Effect.map(valkey.problem, (problem) => problem === undefined),
  )

const throughProxy = Effect.gen(function* () {
  const proxy = yield* TcpProxy.make(inject("valkeyUrl"))
  const client = yield* connect(proxy.through(inject("valkeyUrl")))
  yield* connected(client.valkey)
  yield* client.flushQueue.raiseCounter("public", 0)
  return { proxy, ...client }
})

const password = (url: string): string => new URL(url).password

/** Runs an effect and returns what was logged, besides its result. */
const withLogs = <A, E, R>(effect: (lines: ReadonlyArray<string>) => Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push(`${logLevel.label} ${String(message)}`)
  })
  return effect(lines).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
}

it.scopedLive("executes a call once whose reply was lost, and says that it is unknown", () =>
  Effect.gen(function* () {
    const { proxy, valkey, cache, flushQueue } = yield* throughProxy
    // From now on the server has the script, so the reply that is dropped is the one of its execution.
    yield* cache.append("public", [publication(0, "ann")])
    yield* proxy.setMode("dropReplies")
    const call = yield* Effect.fork(Effect.flip(cache.append("public", [publication(1, "ann")])))
    yield* eventually(
      "the reply was dropped",
      Effect.map(proxy.counts, ({ bytesDropped }) => bytesDropped > 0),
    )
    // Cuts the connection that lost bytes, and lets the next one through at once: a client that sends again would.
    yield* proxy.setMode("pass")
    expect(yield* Fiber.join(call)).toMatchObject({
      _tag: "CacheUnavailable",
      execution: "unknown",
      reason: "the connection was lost before the reply came",
    })
    yield* connected(valkey)
    expect(yield* flushQueue.length("public")).toBe(2)
    expect((yield* cache.append("public", [publication(2, "ann")])).queueLength).toBe(3)
  }),
)

it.scopedLive("refuses at once while it is not connected, sends nothing, and comes back by itself", () =>
  Effect.gen(function* () {
    const { proxy, valkey, cache } = yield* throughProxy
    yield* proxy.setMode("refuse")
    yield* eventually(
      "the loss is noticed",
      Effect.map(valkey.problem, (problem) => problem !== undefined),
    )
    const { bytesToServer } = yield* proxy.counts
    // Nothing is waited for: it fails within the same turn of the event loop.
    const error = Effect.runSync(Effect.flip(cache.append("public", [publication(1, "ann")])))
    expect(error).toMatchObject({ _tag: "CacheUnavailable", execution: "refused", operation: "publish" })
    expect((yield* proxy.counts).bytesToServer).toBe(bytesToServer)
    yield* eventually(
      "the problem is told",
      Effect.map(valkey.problem, (problem) => problem?.includes("ECONNREFUSED") === true),
    )
    expect(yield* valkey.problem).toMatch(
      /^Valkey at 127\.0\.0\.1:\d+ cannot be reached since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(connect ECONNREFUSED 127\.0\.0\.1:\d+\)\.$/,
    )
    yield* proxy.setMode("pass")
    yield* connected(valkey)
    expect((yield* cache.append("public", [publication(1, "ann")])).queueLength).toBe(1)
  }),
)

it.scopedLive("gives up on a server that is silent within the deadline, and works again after it", () =>
  Effect.gen(function* () {
    const { proxy, valkey, cache } = yield* throughProxy
    yield* proxy.setMode("blackhole")
    const [took, errors] = yield* Effect.timed(
      Effect.forEach(
        [1, 2, 3],
        (number) => Effect.flip(cache.append("public", [publication(number, "ann")])),
        {
          concurrency: "unbounded",
        },
      ),
    )
    for (const error of errors)
      expect(error).toMatchObject({ _tag: "CacheUnavailable", execution: "unknown" })
    expect(Duration.toMillis(took)).toBeLessThan(4000)
    expect(yield* valkey.problem).toContain("Socket timeout")
    yield* proxy.setMode("pass")
    yield* connected(valkey)
    expect((yield* cache.append("public", [publication(4, "ann")])).outcomes[0]).toMatchObject({
      _tag: "Appended",
    })
  }),
)

it.scopedLive("is built while nothing listens, and connects when something does", () =>
  Effect.gen(function* () {
    const proxy = yield* TcpProxy.make(inject("valkeyUrl"))
    yield* proxy.setMode("refuse")
    const { valkey, flushQueue } = yield* connect(proxy.through(inject("valkeyUrl")))
    expect(yield* Effect.flip(flushQueue.length("public"))).toMatchObject({ execution: "refused" })
    yield* proxy.setMode("pass")
    yield* connected(valkey)
    expect(yield* flushQueue.length("public")).toBe(0)
  }),
)

it.scopedLive("settles every call when it is closed, also when the server is silent", () =>
  Effect.gen(function* () {
    const proxy = yield* TcpProxy.make(inject("valkeyUrl"))
    const scope = yield* Scope.make()
    const { valkey, flushQueue } = yield* Scope.extend(
      connect(proxy.through(inject("valkeyUrl")), { closeTimeout: Duration.millis(300) }),
      scope,
    )
    yield* connected(valkey)
    yield* proxy.setMode("blackhole")
    const call = yield* Effect.fork(Effect.flip(flushQueue.length("public")))
    yield* Effect.yieldNow()
    const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
    expect(Duration.toMillis(took)).toBeLessThan(4000)
    expect(yield* Fiber.join(call)).toMatchObject({ _tag: "CacheUnavailable" })
    expect(yield* Effect.flip(flushQueue.length("public"))).toMatchObject({ execution: "refused" })
  }),
)

it.scopedLive("logs the loss and the return of the server once each, without its password", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const proxy = yield* TcpProxy.make(inject("valkeyUrl"))
      const { valkey } = yield* connectLogging(proxy.through(inject("valkeyUrl")))
      yield* connected(valkey)
      // Each of these is noticed by another attempt to connect, which is not told.
      yield* proxy.setMode("cut")
      yield* eventually(
        "it is told",
        Effect.sync(() => lines.length > 0),
      )
      yield* proxy.setMode("refuse")
      yield* eventually(
        "it was tried again",
        Effect.map(valkey.problem, (problem) => problem?.includes("ECONNREFUSED") === true),
      )
      yield* proxy.setMode("pass")
      yield* connected(valkey)
      yield* eventually(
        "the return is told",
        Effect.sync(() => lines.length > 1),
      )
      expect(lines.length).toBe(2)
      expect(lines[0]).toMatch(
        /^WARN Valkey at 127\.0\.0\.1:\d+ cannot be reached \(.+\); it is tried again until it answers\.$/,
      )
      expect(lines[1]).toMatch(/^INFO Valkey at 127\.0\.0\.1:\d+ can be reached again, after .+\.$/)
      expect(lines.join("\n")).not.toContain(password(inject("valkeyUrl")))
    }),
  ),
)

it.scopedLive("says what is wrong with a password, without it", () =>
  Effect.gen(function* () {
    const url = new URL(inject("valkeyUrl"))
    url.password = "hunter2"
    const { valkey, flushQueue } = yield* connect(url.href)
    yield* eventually(
      "the server has refused the password",
      Effect.map(valkey.problem, (problem) => problem?.includes("WRONGPASS") === true),
    )
    expect(yield* valkey.problem).not.toContain("hunter2")
    const error = yield* Effect.flip(flushQueue.length("public"))
    expect(error).toMatchObject({ _tag: "CacheUnavailable", execution: "refused" })
    expect(error.message).toContain("WRONGPASS")
    expect(error.message).not.toContain("hunter2")
  }),
)

it.scopedLive("does not go on with another database when the server refuses the one that was asked for", () =>
  Effect.gen(function* () {
    const url = new URL(inject("valkeyUrl"))
    url.pathname = "/99"
    const { valkey, flushQueue } = yield* connect(url.href)
    yield* eventually(
      "the server has refused the database",
      Effect.map(valkey.problem, (problem) => problem?.includes("DB index is out of range") === true),
    )
    const error = yield* Effect.flip(flushQueue.raiseCounter("public", 0))
    expect(error).toMatchObject({ _tag: "CacheUnavailable", execution: "refused" })
    expect(error.message).toContain("database of VALKEY_URL")
  }),
)

it.scopedLive("fails to build with an address that is none, without quoting it", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(connect("http://:hunter2@localhost"))
    expect(String(error)).toContain("VALKEY_URL")
    expect(String(error)).not.toContain("hunter2")
  }),
)

it.scopedLive("survives SCRIPT FLUSH, a restart and a turn as a read-only replica", () =>
  Effect.gen(function* () {
    const server = yield* ControlledValkey
    const { valkey, cache, flushQueue } = yield* connect(Redacted.value(server.url))
    yield* connected(valkey)
    yield* flushQueue.raiseCounter("public", 0)

    const admin = yield* rawClient(server.url)
    const flushes = yield* Effect.forkScoped(Effect.forever(Effect.promise(() => admin.script("FLUSH"))))
    for (let call = 0; call < 300; call++) {
      const { outcomes } = yield* cache.append("public", publications(2, "ann"))
      expect(outcomes.at(-1)).toEqual({ _tag: "Appended", cacheId: 2 * call + 2 })
      if (call % 50 === 0) yield* flushQueue.head("public", { entries: 1, bytes: 1 })
    }
    yield* Fiber.interrupt(flushes)
    expect(yield* flushQueue.length("public")).toBe(600)

    yield* Effect.promise(() => admin.call("replicaof", "127.0.0.1", "1"))
    expect(yield* Effect.flip(cache.append("public", publications(1, "ann")))).toMatchObject({
      _tag: "CacheUnavailable",
      execution: "refused",
      reason: expect.stringMatching(/^READONLY /),
    })
    yield* Effect.promise(() => admin.call("replicaof", "no", "one"))
    yield* connected(valkey)
    expect((yield* cache.append("public", publications(1, "ann"))).queueLength).toBe(601)

    yield* server.stop
    expect(yield* Effect.flip(flushQueue.length("public"))).toMatchObject({ _tag: "CacheUnavailable" })
    yield* server.start
    yield* connected(valkey)
    expect((yield* cache.append("public", publications(1, "ann"))).queueLength).toBe(602)
  }).pipe(Effect.provide(controlledValkey)),
)
