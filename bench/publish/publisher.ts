import { Context, Effect, Layer, type Scope } from "effect"
import * as CacheIdCounter from "../../src/layers/CacheIdCounter.ts"
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
import { Flusher } from "../../src/services/Flusher.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import type { Servers } from "../support/Question.ts"
import type { PublishWorkload } from "./PublishContestant.ts"

/** Flushing is a question of its own: here the messages stay in the queue. */
const noFlusher = Layer.mock(Flusher, { notifyLength: () => Effect.void })

/** The publisher as the daemon has it, with a rate limit that counts every message and stops none. */
export const open = ({
  keyPrefix,
  drafts,
  maxCacheSize,
}: PublishWorkload): Effect.Effect<Publisher["Type"], never, Servers | Scope.Scope> =>
  PublisherLayer.layer.pipe(
    Layer.provide(Layer.merge(RateLimiter.layer, noFlusher)),
    Layer.provide(Layer.merge(CacheIdCounter.layer, JournalState.layer)),
    Layer.provide(
      Layer.mergeAll(
        EventJournalPostgres.layer,
        FlushQueueValkey.layer,
        MessageCacheValkey.layer,
        MessageStorePostgres.layer,
        RateLimitStoreValkey.layer,
      ),
    ),
    Layer.provide(Layer.merge(Valkey.layer, Postgres.layer)),
    Layer.provide(
      SettingsConfig.layer({
        keyPrefix,
        maxCacheSize,
        maxQueueLength: drafts.length,
        rateLimit: { message_limit: 1_000_000_000, window_seconds: 86_400 },
      }),
    ),
    Layer.build,
    Effect.map(Context.get(Publisher)),
    Effect.orDie,
  )
