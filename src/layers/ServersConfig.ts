import { Config, ConfigError, Either, Effect, Layer, Option, Redacted } from "effect"
import type { EmbeddedServerError } from "../domain/EmbeddedServerErrors.ts"
import { PostgresServer } from "../services/PostgresServer.ts"
import { ValkeyServer } from "../services/ValkeyServer.ts"

/** The url of a server that the operator runs. The value may hold a password and never appears in an error. */
const serverUrl = (name: string, schemes: ReadonlyArray<string>) =>
  Config.redacted(name).pipe(
    Config.mapOrFail((url) => {
      const parsed = Option.liftThrowable(() => new URL(Redacted.value(url)))()
      return Option.isSome(parsed) && schemes.includes(parsed.value.protocol.slice(0, -1))
        ? Either.right(url)
        : Either.left(
            ConfigError.InvalidData([name], `must be a URL that begins with ${schemes.join(":// or ")}://`),
          )
    }),
    Config.option,
  )

export const valkeyUrl = serverUrl("VALKEY_URL", ["redis", "rediss", "valkey", "valkeys"])
export const postgresUrl = serverUrl("DATABASE_URL", ["postgres", "postgresql"])

export const dataDirectory = Config.string("CHAT_CACHE_DATA_DIR").pipe(Config.withDefault(".data"))

/** The server of `VALKEY_URL`, or an embedded one whose data is in `CHAT_CACHE_DATA_DIR`. */
export const valkeyLayerConfig: Layer.Layer<ValkeyServer, ConfigError.ConfigError | EmbeddedServerError> =
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const url = yield* valkeyUrl
      if (Option.isSome(url)) return Layer.succeed(ValkeyServer, { url: url.value })
      const directory = yield* dataDirectory
      // Loaded only where it is needed: a daemon on servers of its operator starts without it.
      const embedded = yield* Effect.promise(() => import("./ValkeyServerEmbedded.ts"))
      return embedded.layer({ directory })
    }),
  )

/** The server of `DATABASE_URL`, or an embedded one whose data is in `CHAT_CACHE_DATA_DIR`. */
export const postgresLayerConfig: Layer.Layer<PostgresServer, ConfigError.ConfigError | EmbeddedServerError> =
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const url = yield* postgresUrl
      if (Option.isSome(url)) return Layer.succeed(PostgresServer, { url: url.value })
      const directory = yield* dataDirectory
      const embedded = yield* Effect.promise(() => import("./PostgresServerEmbedded.ts"))
      return embedded.layer({ directory })
    }),
  )
