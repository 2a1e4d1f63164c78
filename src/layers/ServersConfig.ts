import { Config, ConfigError, Either, Effect, Layer, Option, Redacted } from "effect"
import type { EmbeddedServerError } from "../domain/EmbeddedServerErrors.ts"
import { X509Certificate } from "node:crypto"
import { accessSync, constants } from "node:fs"
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

/** `VALKEY_URL`, where it is given. @internal */
export const valkeyUrl = serverUrl("VALKEY_URL", ["redis", "rediss", "valkey", "valkeys"])
/** `DATABASE_URL`, where it is given. @internal */
export const postgresUrl = serverUrl("DATABASE_URL", ["postgres", "postgresql"])

const isCertificate = (pem: string): boolean =>
  Option.isSome(Option.liftThrowable(() => new X509Certificate(pem))())

/** The authority of Valkey's certificate. Most give it as a file, in `CHAT_CACHE_VALKEY_CA_FILE`. */
const valkeyAuthority = Config.string("CHAT_CACHE_VALKEY_CA").pipe(
  Config.validate({
    message:
      "CHAT_CACHE_VALKEY_CA must hold the certificate of an authority in PEM (-----BEGIN CERTIFICATE-----)",
    validation: isCertificate,
  }),
  Config.option,
)

const usesTls = (url: Redacted.Redacted<string>): boolean => /^(?:rediss|valkeys):/i.test(Redacted.value(url))

/** The driver would say that they cannot be read with each attempt to connect, and the daemon would start. */
const certificateFiles = ["sslrootcert", "sslcert", "sslkey"] as const

const refuseUnreadable = (url: Redacted.Redacted<string>) =>
  Effect.forEach(certificateFiles, (parameter) => {
    const file = new URL(Redacted.value(url)).searchParams.get(parameter)
    if (file === null) return Effect.void
    return Effect.try({
      try: () => accessSync(file, constants.R_OK),
      catch: (error) =>
        ConfigError.InvalidData(
          ["DATABASE_URL"],
          `names the file ${file} as ${parameter}, which cannot be read (${(error as NodeJS.ErrnoException).code})`,
        ),
    })
  })

/** Where embedded servers keep their data. @internal */
export const dataDirectory = Config.string("CHAT_CACHE_DATA_DIR").pipe(Config.withDefault(".data"))

/** The server of `VALKEY_URL`, or an embedded one whose data is in `CHAT_CACHE_DATA_DIR`. */
export const valkeyLayerConfig: Layer.Layer<ValkeyServer, ConfigError.ConfigError | EmbeddedServerError> =
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const url = yield* valkeyUrl
      const ca = Option.getOrUndefined(yield* valkeyAuthority)
      if (ca !== undefined && !Option.exists(url, usesTls)) {
        return yield* Effect.fail(
          ConfigError.InvalidData(
            ["CHAT_CACHE_VALKEY_CA"],
            "is for a VALKEY_URL with TLS, such as valkeys://host:6379",
          ),
        )
      }
      if (Option.isSome(url)) return Layer.succeed(ValkeyServer, { url: url.value, ca })
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
      if (Option.isSome(url)) {
        yield* refuseUnreadable(url.value)
        return Layer.succeed(PostgresServer, { url: url.value })
      }
      const directory = yield* dataDirectory
      const embedded = yield* Effect.promise(() => import("./PostgresServerEmbedded.ts"))
      return embedded.layer({ directory })
    }),
  )
