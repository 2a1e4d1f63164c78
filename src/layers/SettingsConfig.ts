import { Config, type ConfigError, Duration, Layer } from "effect"
import { messageLimitMaximum, windowSecondsMaximum } from "../domain/RateLimit.ts"
import { Settings } from "../services/Settings.ts"

/** Bytes of entries in one transaction: bounds the memory of a flush, whatever somebody put into the queue. */
const flushBatchBytes = 8 * 1024 * 1024

const integerFrom = (name: string, minimum: number, maximum: number) =>
  Config.integer(name).pipe(
    Config.validate({
      message: `${name} must be an integer from ${minimum} to ${maximum}`,
      validation: (value) => value >= minimum && value <= maximum,
    }),
  )

const positiveDuration = (name: string) =>
  Config.duration(name).pipe(
    Config.validate({
      message: `${name} must be a positive, finite duration such as "2 minutes" or "30 seconds"`,
      validation: (duration) => Duration.isFinite(duration) && Duration.toMillis(duration) > 0,
    }),
  )

/** Valkey takes expiry times up to the end of its calendar; whole milliseconds from 1 on. */
const channelIdleTime = (name: string) =>
  positiveDuration(name).pipe(
    Config.validate({
      message: "must be from 1 second to 3650 days",
      validation: (duration) => Duration.between(duration, { minimum: "1 second", maximum: "3650 days" }),
    }),
  )

/** Separated by commas. */
export const listOf = (name: string) =>
  Config.string(name).pipe(
    Config.map((text) =>
      text
        .split(",")
        .map((item) => item.trim())
        .filter((item) => item !== ""),
    ),
  )

/** The defaults of the settings table in the README. */
export const defaults: Settings["Type"] = {
  keyPrefix: "",
  maxCacheSize: 500,
  channelIdleTime: Duration.days(1),
  flushInterval: Duration.minutes(2),
  flushBatchSize: 2000,
  flushBatchBytes,
  maxQueueLength: 1_000_000,
  rateLimit: { message_limit: 10, window_seconds: 60 },
  shutdownTimeout: Duration.seconds(25),
  allowUnsafe: [],
}

/** Reads the settings from `CHAT_CACHE_…`. What is absent has its default. */
export const config: Config.Config<Settings["Type"]> = Config.all({
  keyPrefix: Config.string("CHAT_CACHE_KEY_PREFIX").pipe(Config.withDefault(defaults.keyPrefix)),
  maxCacheSize: integerFrom("CHAT_CACHE_MAX_CACHE_SIZE", 1, 1_000_000).pipe(
    Config.withDefault(defaults.maxCacheSize),
  ),
  channelIdleTime: channelIdleTime("CHAT_CACHE_CHANNEL_IDLE_TIME").pipe(
    Config.withDefault(defaults.channelIdleTime),
  ),
  flushInterval: positiveDuration("CHAT_CACHE_FLUSH_INTERVAL").pipe(
    Config.withDefault(defaults.flushInterval),
  ),
  flushBatchSize: integerFrom("CHAT_CACHE_FLUSH_BATCH_SIZE", 1, 10_000).pipe(
    Config.withDefault(defaults.flushBatchSize),
  ),
  flushBatchBytes: Config.succeed(flushBatchBytes),
  maxQueueLength: integerFrom("CHAT_CACHE_MAX_QUEUE_LENGTH", 1, 1_000_000_000).pipe(
    Config.withDefault(defaults.maxQueueLength),
  ),
  rateLimit: Config.all({
    message_limit: integerFrom("CHAT_CACHE_MESSAGE_LIMIT", 1, messageLimitMaximum).pipe(
      Config.withDefault(defaults.rateLimit.message_limit),
    ),
    window_seconds: integerFrom("CHAT_CACHE_WINDOW_SECONDS", 1, windowSecondsMaximum).pipe(
      Config.withDefault(defaults.rateLimit.window_seconds),
    ),
  }),
  shutdownTimeout: positiveDuration("CHAT_CACHE_SHUTDOWN_TIMEOUT").pipe(
    Config.withDefault(defaults.shutdownTimeout),
  ),
  allowUnsafe: listOf("CHAT_CACHE_ALLOW_UNSAFE").pipe(Config.withDefault(defaults.allowUnsafe)),
})

/** The given settings, and the defaults for the others. */
export const layer = (settings: Partial<Settings["Type"]> = {}): Layer.Layer<Settings> =>
  Layer.succeed(Settings, { ...defaults, ...settings })

/** The settings of the environment. A value that is not valid is a `ConfigError` that names the variable. */
export const layerConfig: Layer.Layer<Settings, ConfigError.ConfigError> = Layer.effect(Settings, config)
