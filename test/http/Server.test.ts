import * as HttpServer from "@effect/platform/HttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Either, Exit, Fiber, Layer, LogLevel, Option, Ref, Redacted, Scope } from "effect"
import * as Server from "../../src/http/Server.ts"
import * as ChatCacheMemory from "../../src/layers/ChatCacheMemory.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import { connect, send, textOf } from "./client.ts"
import { Faults, Log, publicDraft, server, serverOptions, Target, test, token } from "./TestServer.ts"

const started = (options: Partial<Server.ServerOptions>) =>
  Server.layer({ ...serverOptions, ...options }).pipe(
    Layer.provide(ChatCacheMemory.layer),
    Layer.provide(SettingsConfig.layer()),
    Layer.build,
    Effect.scoped,
  )

describe("the server", () => {
  for (const host of ["0.0.0.0", "::", "", "192.0.2.1", "chat.example", "128.0.0.1", "localhost.example"]) {
    it.live(`does not listen on "${host}" without a token`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(started({ host }))
        assert.strictEqual(error._tag, "UnsafeConfiguration")
        assert.deepInclude(error, { check: "api-token" })
        assert.include(error.message, "CHAT_CACHE_API_TOKEN")
      }),
    )
  }

  it.live("listens on 127.0.0.1 and localhost without a token", () =>
    Effect.zipRight(started({ host: "127.0.0.1" }), started({ host: "localhost" })),
  )

  for (const host of ["::1", "127.0.0.9"]) {
    it.live(`takes ${host} for loopback, whether this machine has it or not`, () =>
      Effect.gen(function* () {
        const outcome = yield* Effect.either(started({ host }))
        if (Either.isLeft(outcome)) assert.strictEqual(outcome.left._tag, "CannotListen")
      }),
    )
  }

  it.live("does not take an empty token for one", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(started({ apiToken: Option.some(Redacted.make(" ")) }))
      assert.strictEqual(error._tag, "UnsafeConfiguration")
    }),
  )

  for (const [hostname, expected] of [
    ["127.0.0.1", "http://127.0.0.1:8080"],
    ["::1", "http://[::1]:8080"],
    ["0.0.0.0", "http://127.0.0.1:8080"],
  ] as const) {
    it.effect(`says at which URL it is reached when it listens on ${hostname}`, () =>
      Effect.gen(function* () {
        const address = { _tag: "TcpAddress", hostname, port: 8080 } as const
        const made = HttpServer.make({ address, serve: () => Effect.void })
        assert.strictEqual(yield* Effect.provideService(Server.url, HttpServer.HttpServer, made), expected)
      }),
    )
  }

  test(
    "answers a client of the web",
    Effect.gen(function* () {
      const { url } = yield* Target
      const tooLarge = textOf(publicDraft()).padEnd(4 * 1024 * 1024)
      const headers = { "content-type": "application/json" }
      const answer = yield* Effect.promise(async () => {
        const response = await fetch(`${url}/messages`, { method: "POST", headers, body: tooLarge })
        return { status: response.status, body: (await response.json()) as { readonly _tag: string } }
      })
      assert.strictEqual(answer.status, 413)
      assert.strictEqual(answer.body._tag, "PayloadTooLarge")
    }),
  )

  test(
    "says what to do when the port is taken",
    Effect.gen(function* () {
      const { port } = yield* Target
      const error = yield* Effect.flip(started({ port }))
      assert.strictEqual(error._tag, "CannotListen")
      assert.deepInclude(error, { host: "127.0.0.1", port, code: "EADDRINUSE" })
      assert.include(error.message, "CHAT_CACHE_PORT")
    }),
  )

  it.live("says what to do when the address is not one of this machine", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(started({ host: "192.0.2.1", ...token("secret") }))
      assert.deepInclude(error, { _tag: "CannotListen", code: "EADDRNOTAVAIL" })
    }),
  )
})

describe("closing the server", () => {
  const opened = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(server(), scope)
    return { context, close: Scope.close(scope, Exit.void) }
  })

  it.live("does not wait for connections on which nothing is asked", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { context, close } = yield* opened
        const idle = yield* Effect.provide(connect(), context)
        const { port } = yield* Effect.provide(Target, context)
        yield* idle.write(`GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
        yield* idle.until('{"status":"ok"}')
        const silent = yield* Effect.provide(connect(), context)
        yield* close.pipe(Effect.timeout("5 seconds"))
        yield* idle.closed
        yield* silent.closed
      }),
    ),
  )

  it.live("answers what is under way, and takes nothing new", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { context, close } = yield* opened
        const { cache } = yield* Effect.provide(Faults, context)
        const { port } = yield* Effect.provide(Target, context)
        const asked = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        yield* Ref.set(cache, Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(goOn)))
        const answer = yield* Effect.fork(Effect.provide(send("GET", "/messages/recent"), context))
        yield* Deferred.await(asked)
        const closing = yield* Effect.fork(close)
        const refused = Effect.async<boolean>((resume) => {
          fetch(`http://127.0.0.1:${port}/health/live`).then(
            () => resume(Effect.succeed(false)),
            () => resume(Effect.succeed(true)),
          )
        })
        yield* Effect.repeat(refused, { until: (isRefused) => isRefused })
        yield* Deferred.succeed(goOn, undefined)
        assert.strictEqual((yield* Fiber.join(answer)).status, 200)
        yield* Fiber.join(closing)
      }),
    ),
  )

  it.live("cuts off who is still sending after a second", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { context, close } = yield* opened
        const { port } = yield* Effect.provide(Target, context)
        const stalled = yield* Effect.provide(connect(), context)
        yield* stalled.write(
          `POST /messages HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
        )
        yield* Effect.provide(send("GET", "/health/live"), context)
        yield* close.pipe(Effect.timeout("5 seconds"))
        yield* stalled.closed
      }),
    ),
  )
})

describe("the log", () => {
  const secret = "do not write this down"

  test(
    "has a line for each request at debug, without query, body or token",
    Effect.gen(function* () {
      const headers = { authorization: `Bearer ${secret}` }
      yield* send("POST", "/messages", { json: publicDraft({ message: secret }), headers })
      yield* send("POST", "/messages", { json: { [secret]: secret, message: [secret] }, headers })
      yield* send("GET", `/messages/recent?limit=${encodeURIComponent(secret)}`, { headers })
      yield* send("GET", "/messages/recent?limit=2", { headers })
      const log = textOf(yield* Log)
      assert.include(log, "POST /messages 202 in ")
      assert.include(log, "POST /messages 400 in ")
      assert.include(log, "GET /messages/recent 400 in ")
      assert.include(log, "GET /messages/recent 200 in ")
      assert.notInclude(log, secret)
      assert.notInclude(log, encodeURIComponent(secret))
      assert.notInclude(log, "limit=")
    }),
    { ...token(secret), minimumLogLevel: LogLevel.Trace },
  )

  test(
    "has no line for a request at info",
    Effect.gen(function* () {
      yield* send("POST", "/messages", { json: publicDraft() })
      assert.notInclude(textOf(yield* Log), "/messages")
    }),
  )

  test(
    "has the cause of a fault, and the answer has nothing of it",
    Effect.gen(function* () {
      const { cache } = yield* Faults
      yield* Ref.set(cache, Effect.dieMessage("something broke inside"))
      const { status, body } = yield* send("GET", "/messages/recent")
      assert.strictEqual(status, 500)
      assert.strictEqual(body._tag, "InternalError")
      assert.notInclude(textOf(body), "broke")
      assert.include(textOf(yield* Log), "something broke inside")
      yield* Ref.set(cache, Effect.void)
      assert.strictEqual((yield* send("GET", "/messages/recent")).status, 200)
    }),
  )
})
