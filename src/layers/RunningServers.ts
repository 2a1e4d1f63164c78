/** The servers that a command talks to: those of its environment, or those that a daemon runs for itself now. */
import { type ConfigError, Effect, Layer, Option, Redacted } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import {
  type EmbeddedServerName,
  ServerNotRunning,
  type ServerNotStarted,
} from "../domain/EmbeddedServerErrors.ts"
import { PostgresServer } from "../services/PostgresServer.ts"
import { ValkeyServer } from "../services/ValkeyServer.ts"
import * as ServerDirectory from "./ServerDirectory.ts"
import * as ServersConfig from "./ServersConfig.ts"

/** The first of these directories on which a server runs says where it is. */
const addressIn = Effect.fnUntraced(function* (
  server: EmbeddedServerName,
  directory: string,
  homes: ReadonlyArray<string>,
) {
  for (const home of homes) {
    if ((yield* Effect.promise(() => ServerDirectory.runningServer(home))) === undefined) continue
    const url = yield* ServerDirectory.attempt(server, `cannot read its address in ${home}`, () =>
      fs.readFile(path.join(home, "url"), "utf8"),
    )
    return Redacted.make(url.trim())
  }
  return yield* new ServerNotRunning({ server, directory })
})

const inDataDirectory = (server: EmbeddedServerName, name: string) =>
  Effect.flatMap(ServersConfig.dataDirectory, (configured) => {
    const directory = path.resolve(configured)
    return addressIn(server, directory, [
      path.join(directory, name),
      ServerDirectory.systemHome(directory, name),
    ])
  })

export type RunningServerError = ConfigError.ConfigError | ServerNotRunning | ServerNotStarted

export const valkeyLayerConfig: Layer.Layer<ValkeyServer, RunningServerError> = Layer.effect(
  ValkeyServer,
  Effect.gen(function* () {
    const url = yield* ServersConfig.valkeyUrl
    return { url: Option.isSome(url) ? url.value : yield* inDataDirectory("Valkey", "valkey") }
  }),
)

export const postgresLayerConfig: Layer.Layer<PostgresServer, RunningServerError> = Layer.effect(
  PostgresServer,
  Effect.gen(function* () {
    const url = yield* ServersConfig.postgresUrl
    return { url: Option.isSome(url) ? url.value : yield* inDataDirectory("PostgreSQL", "postgres") }
  }),
)
