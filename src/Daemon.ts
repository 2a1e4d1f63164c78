import { Config, Console, Data, Duration, Effect, Layer, Option } from "effect"
import { queueNames } from "./domain/Message.ts"
import * as Guard from "./http/Guard.ts"
import * as Http from "./http/Server.ts"
import * as ChatCacheLayer from "./layers/ChatCache.ts"
import * as ServersConfig from "./layers/ServersConfig.ts"
import * as ServiceManagerSystemd from "./layers/ServiceManagerSystemd.ts"
import * as SettingsConfig from "./layers/SettingsConfig.ts"
import * as Tracing from "./layers/Tracing.ts"
import { ChatCache } from "./services/ChatCache.ts"
import type { DrainReport } from "./services/Flusher.ts"
import * as ServiceNotifications from "./ServiceNotifications.ts"
import { Settings } from "./services/Settings.ts"

/** The shutdown deadline passed with messages left in a queue. They are safe in Valkey and flushed by the next start. */
export class MessagesStayedQueued extends Data.TaggedError("MessagesStayedQueued") {
  override get message(): string {
    return "The shutdown deadline passed before the queues were empty: what stayed is in Valkey, and the next start flushes it."
  }
}

const describe = (queue: string, { persisted, quarantined, remaining }: DrainReport): string =>
  `${queue}: ${persisted} persisted, ${quarantined} quarantined, ${remaining ?? "unknown"} still queued`

/** Ends the process when something hangs that has no deadline of its own. */
const exitAtDeadline = (timeout: Duration.Duration) =>
  Effect.sync(() => {
    setTimeout(() => {
      process.stderr.write("The shutdown deadline has passed: exiting now. What is queued stays in Valkey.\n")
      process.exit(1)
    }, Duration.toMillis(timeout)).unref()
  })

const greeting = (url: string) =>
  [
    `chat-cache listens on ${url}`,
    "Try:",
    `  curl -s ${url}/messages -H 'content-type: application/json' -d '{"owner_id":"1","username":"ada","channel":"general","message":"Hello"}'`,
    `  curl -s ${url}/messages/recent`,
    `  curl -s ${url}/status`,
  ].join("\n")

/**
 * Says where the daemon listens once everything is up, and ends it in the right order: the HTTP server, which this
 * layer depends on, still answers (503) while the queues are drained.
 */
const lifecycle = Layer.scopedDiscard(
  Effect.gen(function* () {
    const chatCache = yield* ChatCache
    const { shutdownTimeout } = yield* Settings
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        yield* exitAtDeadline(shutdownTimeout)
        yield* Effect.logInfo("Shutting down: draining the queues.")
        const reports = yield* chatCache.shutdown
        yield* Effect.logInfo(
          `Stopped. ${queueNames.map((queue) => describe(queue, reports[queue])).join("; ")}.`,
        )
        if (queueNames.some((queue) => !reports[queue].complete)) {
          return yield* Effect.die(new MessagesStayedQueued())
        }
      }),
    )
    // Asking brings up what is not up yet: counters, and with them the tables.
    const { status, problems } = yield* chatCache.readiness
    yield* Console.log(greeting(yield* Http.url))
    if (status !== "ok") yield* Effect.logWarning(`Not all is well: ${problems.join(" ")}`)
  }),
)

const defaultPort = 8080

const httpSettings = Config.all({
  host: Config.string("CHAT_CACHE_HOST").pipe(Config.withDefault("127.0.0.1")),
  // 0 takes any free port; the greeting says which.
  port: Config.integer("CHAT_CACHE_PORT").pipe(
    Config.validate({
      message: "CHAT_CACHE_PORT must be a port from 0 to 65535",
      validation: (port) => port >= 0 && port <= 65_535,
    }),
    Config.option,
  ),
  apiToken: Config.option(Config.redacted("CHAT_CACHE_API_TOKEN")),
  allowedHosts: SettingsConfig.listOf("CHAT_CACHE_ALLOWED_HOSTS").pipe(
    Config.validate({
      message:
        "CHAT_CACHE_ALLOWED_HOSTS must be names such as chat.example or chat.example:8443, separated by commas",
      validation: (names) => names.every(Guard.isAllowedHost),
    }),
    Config.withDefault([]),
  ),
})

/** A port that nobody asked for must not stop whoever tries the daemon out; one that was asked for is taken or refused. */
const httpServer = Layer.unwrapEffect(
  Effect.map(httpSettings, ({ port, ...settings }) =>
    Option.isSome(port)
      ? Http.layer({ ...settings, port: port.value })
      : Http.layer({ ...settings, port: defaultPort }).pipe(
          Layer.catchAll((error) =>
            error._tag === "CannotListen" && error.code === "EADDRINUSE"
              ? Http.layer({ ...settings, port: 0 }).pipe(
                  Layer.tap(() =>
                    Effect.logWarning(
                      `Port ${defaultPort} is taken: another one is used. CHAT_CACHE_PORT chooses one.`,
                    ),
                  ),
                )
              : Layer.fail(error),
          ),
        ),
  ),
)

/** The whole daemon, configured from the environment. */
export const layerConfig = ServiceNotifications.layer.pipe(
  Layer.provide(lifecycle),
  Layer.provide(httpServer),
  Layer.provide(ChatCacheLayer.layer),
  Layer.provide(
    Layer.mergeAll(
      ServiceManagerSystemd.layerConfig,
      SettingsConfig.layerConfig,
      ServersConfig.valkeyLayerConfig,
      ServersConfig.postgresLayerConfig,
    ),
  ),
  Layer.provide(Tracing.layerConfig),
)
