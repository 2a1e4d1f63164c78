import * as NodeCommandExecutor from "@effect/platform-node/NodeCommandExecutor"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Command from "@effect/platform/Command"
import { CommandExecutor } from "@effect/platform/CommandExecutor"
import { Config, type ConfigError, Duration, Effect, Layer, Option, Ref } from "effect"
import { ServiceManager } from "../services/ServiceManager.ts"

/** It answers within milliseconds, or not at all. */
const notifyWithin = Duration.seconds(5)

const none = ServiceManager.of({
  ready: Effect.void,
  status: () => Effect.void,
  stopping: Effect.void,
  alive: Effect.void,
  watchdogTimeout: Option.none(),
})

const config = Config.all({
  socket: Config.option(Config.string("NOTIFY_SOCKET")),
  watchdogMicros: Config.option(Config.integer("WATCHDOG_USEC")),
  /** Which process is meant: the variables may have been inherited from another one. */
  watchdogPid: Config.option(Config.integer("WATCHDOG_PID")),
})

/**
 * Speaks to systemd by its own `systemd-notify`, because Node has no datagram sockets on paths. The unit therefore needs
 * `NotifyAccess=all`.
 */
const make = Effect.gen(function* () {
  const { socket, watchdogMicros, watchdogPid } = yield* config
  if (Option.isNone(socket)) return none
  const executor = yield* CommandExecutor
  const hasFailed = yield* Ref.make(false)

  const reportOnce = (reason: string) =>
    Effect.flatMap(Ref.getAndSet(hasFailed, true), (known) =>
      known ? Effect.void : Effect.logWarning(`systemd cannot be notified: ${reason}`),
    )

  const notify = (...options: ReadonlyArray<string>) =>
    executor.exitCode(Command.make("systemd-notify", ...options)).pipe(
      Effect.timeout(notifyWithin),
      Effect.flatMap((code) => (code === 0 ? Effect.void : reportOnce(`systemd-notify ended with ${code}`))),
      Effect.catchAll((error) => reportOnce(error.message)),
    )

  return ServiceManager.of({
    ready: notify("--ready"),
    // A line break would begin a variable of its own.
    status: (line) => notify(`--status=${line.replaceAll(/\s+/g, " ")}`),
    stopping: notify("STOPPING=1"),
    alive: notify("WATCHDOG=1"),
    watchdogTimeout: Option.filter(
      Option.map(watchdogMicros, (micros) => Duration.micros(BigInt(micros))),
      () => Option.getOrElse(watchdogPid, () => process.pid) === process.pid,
    ),
  })
})

/** systemd where it has started this process as a service with `Type=notify`, and nobody otherwise. */
export const layerConfig: Layer.Layer<ServiceManager, ConfigError.ConfigError> = Layer.effect(
  ServiceManager,
  make,
).pipe(Layer.provide(NodeCommandExecutor.layer), Layer.provide(NodeFileSystem.layer))
