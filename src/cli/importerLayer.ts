import { Layer } from "effect"
import * as CacheIdCounter from "../layers/CacheIdCounter.ts"
import * as FlushQueueValkey from "../layers/FlushQueueValkey.ts"
import * as Importer from "../layers/Importer.ts"
import * as MessageStorePostgres from "../layers/MessageStorePostgres.ts"
import * as Postgres from "../layers/postgres/Postgres.ts"
import * as PredecessorPostgres from "../layers/PredecessorPostgres.ts"
import * as RunningServers from "../layers/RunningServers.ts"
import * as SettingsConfig from "../layers/SettingsConfig.ts"
import * as Connections from "./Connections.ts"

/** @param migrates whether the tables are made where they are missing */
export const layer = (migrates: boolean) =>
  Importer.layer.pipe(
    Layer.provide(Layer.merge(CacheIdCounter.layer, PredecessorPostgres.layer)),
    Layer.provide(Layer.merge(FlushQueueValkey.layer, MessageStorePostgres.layer)),
    Layer.provide(
      Layer.mergeAll(
        Postgres.layerWith({ migrates }).pipe(Layer.provideMerge(RunningServers.postgresLayerConfig)),
        Connections.valkey,
        SettingsConfig.layerConfig,
      ),
    ),
  )
