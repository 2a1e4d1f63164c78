/** The connections of a command that goes to the servers itself. */
import { Layer } from "effect"
import * as Postgres from "../layers/postgres/Postgres.ts"
import * as RunningServers from "../layers/RunningServers.ts"
import * as SettingsConfig from "../layers/SettingsConfig.ts"
import * as Valkey from "../layers/valkey/Valkey.ts"

/** Only `serve`, `migrate` and `import` change tables: to look at a database must not alter it. */
export const postgres = Postgres.layerWith({ migrates: false }).pipe(
  Layer.provideMerge(RunningServers.postgresLayerConfig),
)

export const valkey = Valkey.layer.pipe(Layer.provideMerge(RunningServers.valkeyLayerConfig))

export const layer = Layer.mergeAll(postgres, valkey, SettingsConfig.layerConfig)
