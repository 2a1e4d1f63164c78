/** Servers for demonstrations and for integration tests of applications: nothing of them is left in the end. */
import { type ConfigError, ConfigProvider, Effect, Layer, type Scope } from "effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import type { EmbeddedServerError } from "../domain/EmbeddedServerErrors.ts"
import type { PostgresServer } from "../services/PostgresServer.ts"
import type { ValkeyServer } from "../services/ValkeyServer.ts"
import * as ServersConfig from "./ServersConfig.ts"

const makeDirectory = async (): Promise<string> => {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "chat-cache-servers-"))
  // The account that PostgreSQL runs as for root has to get through.
  await fs.chmod(directory, 0o755)
  return directory
}

const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(makeDirectory),
  (directory) =>
    Effect.promise(() => fs.rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })),
)

type Servers = Layer.Layer<ValkeyServer | PostgresServer, ConfigError.ConfigError | EmbeddedServerError>

const make = (
  configured: (current: ConfigProvider.ConfigProvider) => ConfigProvider.ConfigProvider,
): Servers =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const current = yield* Effect.configProviderWith(Effect.succeed)
      const directory = yield* temporaryDirectory
      const provider = ConfigProvider.fromMap(new Map([["CHAT_CACHE_DATA_DIR", directory]])).pipe(
        ConfigProvider.orElse(() => configured(current)),
      )
      return Layer.merge(ServersConfig.valkeyLayerConfig, ServersConfig.postgresLayerConfig).pipe(
        Layer.provide(Layer.setConfigProvider(provider)),
      )
    }),
  )

/** A Valkey and a PostgreSQL of this process alone, whatever the environment says. */
export const layer: Servers = make(() => ConfigProvider.fromMap(new Map()))

/** The servers of `VALKEY_URL` and `DATABASE_URL`, and in place of each that is not given one of this process alone. */
export const layerConfig: Servers = make((current) => current)
