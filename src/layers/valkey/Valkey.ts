import { ConfigError, Effect, Layer, Metric, Redacted } from "effect"
import { Command, type Redis } from "iovalkey"
import type { CacheUnavailable } from "../../domain/Errors.ts"
import {
  Valkey,
  type ValkeyBinaryReply,
  type ValkeyCommand,
  type ValkeyReply,
  type ValkeyScript,
} from "../../services/Valkey.ts"
import { ValkeyServer } from "../../services/ValkeyServer.ts"
import * as Metrics from "../Metrics.ts"
import * as Tracing from "../Tracing.ts"
import * as Connection from "./Connection.ts"
import * as Failure from "./Failure.ts"
import * as ServerUrl from "./ServerUrl.ts"

type Argument = string | number

/** `null` leaves the reply as bytes. */
type Encoding = "utf8" | null

const dispatch = (
  client: Redis,
  name: string,
  args: ReadonlyArray<Argument>,
  encoding: Encoding,
): Promise<unknown> =>
  client.sendCommand(
    new Command(name, args as Array<Argument>, { replyEncoding: encoding }),
  ) as Promise<unknown>

/**
 * A server that does not have the script says so without executing anything. EVAL brings it along, and unlike loading
 * it first and trying again, leaves no gap in which it could be forgotten once more.
 */
const dispatchScript = (
  client: Redis,
  script: ValkeyScript,
  keys: ReadonlyArray<string>,
  args: ReadonlyArray<Argument>,
  encoding: Encoding,
): Promise<unknown> => {
  const sent = [script.sha1, keys.length, ...keys, ...args]
  return dispatch(client, "evalsha", sent, encoding).catch((error: unknown) =>
    Failure.isUnknownScript(error)
      ? dispatch(client, "eval", [script.text, ...sent.slice(1)], encoding)
      : Promise.reject(error),
  )
}

const dispatchAll = async (
  client: Redis,
  commands: ReadonlyArray<ValkeyCommand>,
): Promise<ReadonlyArray<unknown>> => {
  const pipeline = client.pipeline()
  for (const [name, ...args] of commands) pipeline.call(name, ...args)
  const replies = (await pipeline.exec()) ?? []
  return replies.map(([error, reply]) => {
    if (error !== null) throw error
    return reply
  })
}

/** Reads the server's URL and connects to it. The server need not be there yet. */
export const make = (options: Partial<Connection.ConnectionOptions> = {}) =>
  Effect.gen(function* () {
    const server = yield* ValkeyServer
    const url = yield* ServerUrl.parse(Redacted.value(server.url)).pipe(
      Effect.mapError((problem) => ConfigError.InvalidData(["VALKEY_URL"], problem)),
    )
    const { client, isReady, problem, reason } = yield* Connection.open(url, {
      ...Connection.defaultOptions,
      ...(server.ca === undefined ? {} : { ca: server.ca }),
      ...options,
    })

    const execute = <Reply>(
      operation: string,
      start: () => Promise<unknown>,
    ): Effect.Effect<Reply, CacheUnavailable> =>
      Effect.async((resume) => {
        if (!isReady()) {
          resume(Effect.fail(Failure.refused(operation, `not connected: ${reason()}`)))
          return
        }
        start().then(
          (reply) => resume(Effect.succeed(reply as Reply)),
          (error: unknown) => resume(Effect.fail(Failure.fromError(operation, error))),
        )
      })

    const durations = new Map<string, Metric.Metric.Histogram<number>>()
    const durationOf = (script: ValkeyScript): Metric.Metric.Histogram<number> => {
      const known = durations.get(script.name)
      if (known !== undefined) return known
      const metric = Metric.tagged(Metrics.scriptSeconds, "script", script.name)
      durations.set(script.name, metric)
      return metric
    }

    const isTraced = yield* Tracing.isExported

    const executeScript = <Reply>(
      operation: string,
      script: ValkeyScript,
      start: () => Promise<unknown>,
    ): Effect.Effect<Reply, CacheUnavailable> => {
      const measured = Effect.suspend(() => {
        const begin = performance.now()
        return Effect.ensuring(
          execute<Reply>(operation, start),
          Effect.sync(() => durationOf(script).unsafeUpdate((performance.now() - begin) / 1000, [])),
        )
      })
      return isTraced
        ? Effect.withSpan(measured, "Valkey.run", { attributes: { script: script.name } })
        : measured
    }

    return Valkey.of({
      address: ServerUrl.address(url),
      problem: Effect.sync(problem),
      send: (operation, [name, ...args]) =>
        execute<ValkeyReply>(operation, () => dispatch(client, name, args, "utf8")),
      sendForBytes: (operation, [name, ...args]) =>
        execute<ValkeyBinaryReply>(operation, () => dispatch(client, name, args, null)),
      sendAll: (operation, commands) =>
        execute<ReadonlyArray<ValkeyReply>>(operation, () => dispatchAll(client, commands)),
      run: (operation, script, keys, args) =>
        executeScript<ValkeyReply>(operation, script, () =>
          dispatchScript(client, script, keys, args, "utf8"),
        ),
      runForBytes: (operation, script, keys, args) =>
        executeScript<ValkeyBinaryReply>(operation, script, () =>
          dispatchScript(client, script, keys, args, null),
        ),
    })
  })

/** @param options where they differ from `Connection.defaultOptions` */
export const layerWith = (
  options: Partial<Connection.ConnectionOptions>,
): Layer.Layer<Valkey, ConfigError.ConfigError, ValkeyServer> => Layer.scoped(Valkey, make(options))

export const layer: Layer.Layer<Valkey, ConfigError.ConfigError, ValkeyServer> = layerWith({})
