import { Layer } from "effect"
import * as Audit from "../layers/Audit.ts"
import * as CacheHealthValkey from "../layers/CacheHealthValkey.ts"
import * as Doctor from "../layers/Doctor.ts"
import * as EventJournalPostgres from "../layers/EventJournalPostgres.ts"
import * as FlushQueueValkey from "../layers/FlushQueueValkey.ts"
import * as JournalState from "../layers/JournalState.ts"
import * as MessageCacheValkey from "../layers/MessageCacheValkey.ts"
import * as MigratorPostgres from "../layers/MigratorPostgres.ts"
import * as StoreHealthPostgres from "../layers/StoreHealthPostgres.ts"
import * as StoreSnapshotPostgres from "../layers/StoreSnapshotPostgres.ts"
import * as Connections from "./Connections.ts"

export const layer = Doctor.layer.pipe(
  Layer.provide(
    Layer.mergeAll(Audit.layer, CacheHealthValkey.layer, MigratorPostgres.layer, StoreHealthPostgres.layer),
  ),
  Layer.provide(
    Layer.mergeAll(
      FlushQueueValkey.layer,
      JournalState.layer,
      MessageCacheValkey.layer,
      StoreSnapshotPostgres.layer,
    ),
  ),
  Layer.provide(EventJournalPostgres.layer),
  Layer.provide(Connections.layer),
)
