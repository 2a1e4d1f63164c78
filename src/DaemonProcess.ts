import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import type { Teardown } from "@effect/platform/Runtime"
import { Cause, Config, ConfigError, Effect, Exit, Layer, Logger, LogLevel, Option } from "effect"
import * as Daemon from "./Daemon.ts"
import * as FileConfigProvider from "./layers/FileConfigProvider.ts"

/** Exit code of a configuration that the daemon does not start with, as in sysexits.h. */
const EX_CONFIG = 78

const teardown: Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return onExit(0)
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  const isConfiguration =
    ConfigError.isConfigError(failure) || (failure as { _tag?: string })?._tag === "UnsafeConfiguration"
  onExit(isConfiguration ? EX_CONFIG : 1)
}

/** An error that says what to do needs no stack trace; anything else does. */
const reportFailure = (cause: Cause.Cause<unknown>) => {
  if (Cause.isInterruptedOnly(cause)) return Effect.void
  const failure = Option.getOrUndefined(
    Option.orElse(Cause.failureOption(cause), () =>
      // A finalizer has no other way to fail.
      Option.filter(Cause.dieOption(cause), (defect) => defect instanceof Daemon.MessagesStayedQueued),
    ),
  )
  if (ConfigError.isConfigError(failure)) return Effect.logFatal(`Configuration: ${failure}`)
  return failure instanceof Error
    ? Effect.logFatal(failure.message)
    : Effect.logFatal("chat-cache ends after a fault.", cause)
}

const logger = Logger.replace(
  Logger.defaultLogger,
  process.stderr.isTTY ? Logger.prettyLogger({ stderr: true }) : Logger.withConsoleError(Logger.jsonLogger),
)

/** How much is told, unless the caller says: `debug` has a line for each request. */
const configuredLogLevel = Config.logLevel("CHAT_CACHE_LOG_LEVEL").pipe(Config.withDefault(LogLevel.Info))

/** Runs the daemon as this process, until a signal or a failure ends it. */
export const run = (minimumLogLevel?: LogLevel.LogLevel): void => {
  const logLevel = Layer.unwrapEffect(
    Effect.map(
      minimumLogLevel === undefined ? configuredLogLevel : Effect.succeed(minimumLogLevel),
      Logger.minimumLogLevel,
    ),
  )
  const daemon = Daemon.layerConfig.pipe(
    Layer.provide(logLevel),
    Layer.provide(FileConfigProvider.layer(process.env)),
  )
  Layer.launch(daemon).pipe(
    Effect.onError(reportFailure),
    Effect.provide(logger),
    NodeRuntime.runMain({ teardown, disableErrorReporting: true, disablePrettyLogger: true }),
  )
}
