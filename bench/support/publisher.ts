import { Context, Effect, Layer, type Scope } from "effect"
import * as CacheIdCounter from "../../src/layers/CacheIdCounter.ts"
import * as DeletionLayer from "../../src/layers/Deletion.ts"
import * as EventJournalPostgres from "../../src/layers/EventJournalPostgres.ts"
import * as FlushQueueValkey from "../../src/layers/FlushQueueValkey.ts"
import * as JournalState from "../../src/layers/JournalState.ts"
import * as MessageCacheValkey from "../../src/layers/MessageCacheValkey.ts"
import * as MessageStorePostgres from "../../src/layers/MessageStorePostgres.ts"
import * as Postgres from "../../src/layers/postgres/Postgres.ts"
import * as PublisherLayer from "../../src/layers/Publisher.ts"
import * as RateLimiter from "../../src/layers/RateLimiter.ts"
import * as RateLimitStoreValkey from "../../src/layers/RateLimitStoreValkey.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Valkey from "../../src/layers/valkey/Valkey.ts"
import type { Deletion } from "../../src/services/Deletion.ts"
import { Flusher } from "../../src/services/Flusher.ts"
import type { MessageCache } from "../../src/services/MessageCache.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import type { Settings } from "../../src/services/Settings.ts"
import type { Servers } from "./Question.ts"

/** Flushing is a question of its own: here the messages stay in the queue. */
const noFlusher = Layer.mock(Flusher, { notifyLength: () => Effect.void })

/** Counts every message and stops none. */
export const unlimited = { message_limit: 1_000_000_000, window_seconds: 86_400 }

export type Services = Publisher | Deletion | MessageCache

/** The publisher and what stands beside it, as the daemon has them, with the given settings and no rate limit. */
export const openServices = (
  settings: Partial<Settings["Type"]>,
): Effect.Effect<Context.Context<Services>, never, Servers | Scope.Scope> =>
  Layer.merge(PublisherLayer.layer, DeletionLayer.layer).pipe(
    Layer.provide(Layer.merge(RateLimiter.layer, noFlusher)),
    Layer.provide(Layer.merge(CacheIdCounter.layer, JournalState.layer)),
    Layer.provideMerge(MessageCacheValkey.layer),
    Layer.provide(
      Layer.mergeAll(
        EventJournalPostgres.layer,
        FlushQueueValkey.layer,
        MessageStorePostgres.layer,
        RateLimitStoreValkey.layer,
      ),
    ),
    Layer.provide(Layer.merge(Valkey.layer, Postgres.layer)),
    Layer.provide(SettingsConfig.layer({ rateLimit: unlimited, ...settings })),
    Layer.build,
    Effect.orDie,
  )

export const open = (
  settings: Partial<Settings["Type"]>,
): Effect.Effect<Publisher["Type"], never, Servers | Scope.Scope> =>
  Effect.map(openServices(settings), Context.get(Publisher))
