import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpServer from "@effect/platform/HttpServer"
import type { ServeError } from "@effect/platform/HttpServerError"
import { Duration, Effect, Layer, Option, Redacted, Runtime, Schedule, Schema } from "effect"
import * as http from "node:http"
import { BlockList, isIP, isIPv6 } from "node:net"
import { UnsafeConfiguration } from "../domain/Errors.ts"
import type { ChatCache } from "../services/ChatCache.ts"
import { inOwnFiber } from "../layers/inOwnFiber.ts"
import { answerMalformed } from "./answerMalformed.ts"
import * as Events from "./Events.ts"
import * as Guard from "./Guard.ts"
import * as Routes from "./Routes.ts"
import { securityHeaders } from "./securityHeaders.ts"

export interface ServerOptions {
  /** What to listen on: a name or an address. Beyond loopback only with a token. */
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** What clients must send as `Authorization: Bearer <token>` to everything but `/health/…`. */
  readonly apiToken: Option.Option<Redacted.Redacted<string>>
  /** Names of a proxy in front, such as `chat.example` or `chat.example:8443`, besides those of this machine. */
  readonly allowedHosts?: ReadonlyArray<string>
  /** From the first byte of a request to its last. 30 seconds unless given. */
  readonly requestTimeout?: Duration.DurationInput
  /** How long a connection may be open on which nothing moves. 5 minutes unless given. */
  readonly inactivityTimeout?: Duration.DurationInput
  /** How many connections may be open at once. 10 000 unless given. */
  readonly maximumConnections?: number
  /** Those of `Events.defaults` unless given. */
  readonly events?: Partial<Events.EventsOptions>
}

/** The server cannot listen there. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  host: Schema.String,
  port: Schema.Number,
  code: Schema.String,
}) {
  override get message(): string {
    const remedy =
      this.code === "EADDRINUSE" || this.code === "EACCES"
        ? "choose another port (CHAT_CACHE_PORT; 0 takes any free one)"
        : "choose an address of this machine (CHAT_CACHE_HOST)"
    return `Cannot listen on port ${this.port} of ${this.host} (${this.code}): ${remedy}.`
  }
}

const headersTimeout = Duration.seconds(10)

/** How often Node looks for requests that take too long. */
const checkingInterval = Duration.seconds(1)

/** Longer than the minute after which proxies give up an idle connection, so that they never use one that is closing. */
const keepAliveTimeout = Duration.seconds(65)

/** A connection on which nothing moves this long is closed, also one whose client does not read its answer. */
const defaultInactivityTimeout = Duration.minutes(5)

const defaultMaximumConnections = 10_000

/** How often it is said that connections are refused. */
const refusalReportInterval = Duration.toMillis("1 minute")

/** How long those who are being answered may keep the server from closing. */
const closeWithin = Duration.seconds(1)

const defaultRequestTimeout = Duration.seconds(30)

const makeServer = (options: ServerOptions): http.Server => {
  const requestTimeout = options.requestTimeout ?? defaultRequestTimeout
  const server = http.createServer({
    requestTimeout: Duration.toMillis(requestTimeout),
    headersTimeout: Duration.toMillis(Duration.min(headersTimeout, requestTimeout)),
    connectionsCheckingInterval: Duration.toMillis(checkingInterval),
    keepAliveTimeout: Duration.toMillis(keepAliveTimeout),
    // A request without one is answered as JSON, by the guard.
    requireHostHeader: false,
    // Clients that offer HTTP/2 (`Upgrade: h2c`, as Java's does) are answered in HTTP/1.1.
    shouldUpgradeCallback: () => false,
  })
  server.setTimeout(Duration.toMillis(options.inactivityTimeout ?? defaultInactivityTimeout))
  server.maxConnections = options.maximumConnections ?? defaultMaximumConnections
  // Before anybody answers, so that no answer is without.
  server.on("request", (_request, response) => {
    for (const name in securityHeaders) response.setHeader(name, securityHeaders[name]!)
  })
  // Without this listener Node tells every client that asks to go on and send its body.
  server.on("checkContinue", (request, response) => server.emit("request", request, response))
  answerMalformed(server)
  return server
}

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8)
loopback.addAddress("::1", "ipv6")

const isLoopback = (host: string): boolean =>
  host.toLowerCase() === "localhost" ||
  (isIP(host) !== 0 && loopback.check(host, isIPv6(host) ? "ipv6" : "ipv4"))

const refuseUnsafe = ({ host, apiToken }: ServerOptions): Effect.Effect<void, UnsafeConfiguration> => {
  const reason =
    Option.isSome(apiToken) && Redacted.value(apiToken.value).trim() === ""
      ? "CHAT_CACHE_API_TOKEN is empty: give it a secret value, or do not set it."
      : Option.isNone(apiToken) && !isLoopback(host)
        ? `CHAT_CACHE_HOST is ${host}, where others can reach it: set CHAT_CACHE_API_TOKEN, or listen on 127.0.0.1.`
        : undefined
  return reason === undefined ? Effect.void : new UnsafeConfiguration({ check: "api-token", reason })
}

const cannotListen =
  ({ host, port }: ServerOptions) =>
  ({ cause }: ServeError) =>
    new CannotListen({ host, port, code: (cause as NodeJS.ErrnoException).code ?? String(cause) })

/** Once somebody listens for errors, such as too many open files, they no longer end the process. */
const reportErrors = (server: http.Server) =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const runtime = yield* Effect.runtime<never>()
    let refusalReportedAt = -Infinity
    server.on("drop", () => {
      const now = clock.unsafeCurrentTimeMillis()
      if (now - refusalReportedAt < refusalReportInterval) return
      refusalReportedAt = now
      Runtime.runFork(runtime)(
        Effect.logWarning(
          `${server.maxConnections} connections are open, and no more are taken until some are closed.`,
        ),
      )
    })
    server.on("error", (error) => {
      Runtime.runFork(runtime)(
        Effect.logError(`The HTTP server could not take a connection: ${error.message}`),
      )
    })
  })

const listening = (server: http.Server, options: ServerOptions) =>
  Layer.scoped(
    HttpServer.HttpServer,
    NodeHttpServer.make(() => server, { host: options.host, port: options.port }).pipe(
      Effect.mapError(cannotListen(options)),
      Effect.zipLeft(reportErrors(server)),
    ),
  )

/** Takes no more connections, lets those under way have their answers, and cuts what is left after `closeWithin`. */
const closing = (server: http.Server) =>
  Layer.scopedDiscard(
    Effect.addFinalizer(() =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
      }).pipe(
        Effect.raceFirst(
          Effect.sync(() => server.closeIdleConnections()).pipe(
            Effect.repeat(Schedule.spaced("20 millis")),
            Effect.zipRight(Effect.never),
          ),
        ),
        Effect.timeoutOption(closeWithin),
        inOwnFiber,
        Effect.zipRight(Effect.sync(() => server.closeAllConnections())),
      ),
    ),
  )

/** The URL at which a program on this machine reaches the server, such as `http://127.0.0.1:8080`. */
export const url: Effect.Effect<string, never, HttpServer.HttpServer> = Effect.map(
  HttpServer.HttpServer,
  ({ address }) => {
    if (address._tag === "UnixAddress") return HttpServer.formatAddress(address)
    const host = address.hostname === "0.0.0.0" ? "127.0.0.1" : Guard.bracketed(address.hostname)
    return `http://${host}:${address.port}`
  },
)

/** Serves the routes over HTTP until the layer is closed, which takes a second at most. */
export const layer = (
  options: ServerOptions,
): Layer.Layer<HttpServer.HttpServer, UnsafeConfiguration | CannotListen, ChatCache> =>
  Layer.unwrapEffect(
    Effect.map(refuseUnsafe(options), () => {
      const server = makeServer(options)
      return closing(server).pipe(
        Layer.provide(Routes.layer(server, Guard.make(options), { ...Events.defaults, ...options.events })),
        Layer.provideMerge(listening(server, options)),
      )
    }),
  )
