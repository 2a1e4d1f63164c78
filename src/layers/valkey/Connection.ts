import { Duration, Effect, type Scope } from "effect"
import { Redis } from "iovalkey"
import * as ConnectionState from "./ConnectionState.ts"
import { errorCode } from "./Failure.ts"
import { address, type ServerUrl } from "./ServerUrl.ts"

export interface ConnectionOptions {
  /** How long an attempt to connect may take. */
  readonly connectTimeout: Duration.Duration
  /** How long a reply may take before its caller is told that it is unknown. */
  readonly commandTimeout: Duration.Duration
  /** How long the socket may be silent while a reply is due before it is given up. Less than `commandTimeout`. */
  readonly socketTimeout: Duration.Duration
  /** The longest pause between two attempts to connect. */
  readonly reconnectDelay: Duration.Duration
  /** How long to wait for the first connection, so that the first command finds one. It comes later otherwise. */
  readonly startTimeout: Duration.Duration
  /** How long a server that does not answer may hold up closing. */
  readonly closeTimeout: Duration.Duration
  /** The authority that signed the server's certificate, in PEM. */
  readonly ca?: string
}

export const defaultOptions: ConnectionOptions = {
  connectTimeout: Duration.seconds(5),
  commandTimeout: Duration.seconds(6),
  socketTimeout: Duration.seconds(5),
  reconnectDelay: Duration.seconds(2),
  startTimeout: Duration.seconds(1),
  closeTimeout: Duration.seconds(1),
}

export interface Connection {
  readonly client: Redis
  /** Whether a command would be written to the socket now. */
  readonly isReady: () => boolean
  /** Why there is no connection now, in a few words. */
  readonly reason: () => string
  /** The same as a sentence, or `undefined` while there is a connection. */
  readonly problem: () => string | undefined
}

/** Doubles from 50 ms on, and varies, so that many clients do not come back in step. */
const reconnectDelay = (attempt: number, maximum: number): number =>
  Math.min(maximum, 50 * 2 ** Math.min(attempt - 1, 16)) * (0.5 + Math.random() / 2)

/**
 * A client that never repeats a command, never keeps one for later, and never gives up connecting.
 *
 * `maxRetriesPerRequest: 0` is what fails the commands under way when a connection is lost. With any other value, or
 * with `autoResendUnfulfilledCommands: false` instead, they are executed twice or never settle.
 */
const connect = (url: ServerUrl, options: ConnectionOptions, onReadOnly: () => void): Redis =>
  new Redis({
    host: url.host,
    port: url.port,
    ...(url.username === undefined ? {} : { username: url.username }),
    ...(url.password === undefined ? {} : { password: url.password }),
    db: url.database,
    ...(url.tls ? { tls: options.ca === undefined ? {} : { ca: options.ca } } : {}),
    // Node tries the addresses of both families; the client would fix itself on one of them.
    family: 0,
    familyFallback: { enabled: false },
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    connectTimeout: Duration.toMillis(options.connectTimeout),
    commandTimeout: Duration.toMillis(options.commandTimeout),
    socketTimeout: Duration.toMillis(options.socketTimeout),
    disconnectTimeout: Duration.toMillis(options.closeTimeout) / 2,
    maxLoadingRetryTime: 1000,
    retryStrategy: (attempt) => reconnectDelay(attempt, Duration.toMillis(options.reconnectDelay)),
    // After a failover the name of the server may lead to the new primary. 1 reconnects; 2 would send again as well.
    reconnectOnError: (error) => {
      if (errorCode(error.message) !== "READONLY") return false
      onReadOnly()
      return 1
    },
  })

/** Once the socket is being closed, the client still calls itself ready for a moment. */
const isReady = (client: Redis): boolean => client.status === "ready" && client.stream.writable

const untilReady = (client: Redis, atMost: Duration.Duration): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const onReady = () => resume(Effect.void)
    if (isReady(client)) onReady()
    else client.once("ready", onReady)
    return Effect.sync(() => client.off("ready", onReady))
  }).pipe(Effect.timeoutOption(atMost), Effect.asVoid)

const close = (client: Redis, atMost: Duration.Duration): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    // Between two attempts there is no socket whose end could be waited for.
    const ends = client.status !== "reconnecting" && client.status !== "end"
    if (ends) client.once("end", () => resume(Effect.void))
    client.disconnect()
    if (!ends) resume(Effect.void)
  }).pipe(Effect.timeoutOption(atMost), Effect.asVoid)

/** Opens a connection for as long as the scope lasts. Never fails: what is not there yet may come. */
export const open = (
  url: ServerUrl,
  options: ConnectionOptions,
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const state = yield* ConnectionState.make(`Valkey at ${address(url)}`)
    const client = yield* Effect.acquireRelease(
      Effect.sync(() =>
        connect(url, options, state.onReadOnly)
          .on("connect", state.onConnect)
          .on("ready", state.onReady)
          .on("error", state.onError)
          .on("close", state.onClose),
      ),
      (opened) => Effect.zipRight(Effect.sync(state.onEnd), close(opened, options.closeTimeout)),
    )
    yield* untilReady(client, options.startTimeout)
    const isUsable = () => isReady(client) && state.isUsable()
    return {
      client,
      isReady: isUsable,
      reason: state.reason,
      problem: () => (isUsable() ? undefined : state.sentence()),
    }
  })
