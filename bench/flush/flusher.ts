import { Context, Duration, Effect, Layer } from "effect"
import * as CacheIdCounter from "../../src/layers/CacheIdCounter.ts"
import * as FlusherLayer from "../../src/layers/Flusher.ts"
import * as FlushQueueValkey from "../../src/layers/FlushQueueValkey.ts"
import * as MessageCacheValkey from "../../src/layers/MessageCacheValkey.ts"
import * as MessageStorePostgres from "../../src/layers/MessageStorePostgres.ts"
import * as Postgres from "../../src/layers/postgres/Postgres.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Valkey from "../../src/layers/valkey/Valkey.ts"
import { Flusher } from "../../src/services/Flusher.ts"
import type { FlushContestant } from "./FlushContestant.ts"
import { nameOf as baselineOf } from "./insertPerRow.ts"

/** The flusher as the daemon has it, except that it begins when it is told to and not when the queue is filled. */
const layer = (keyPrefix: string, batchSize: number, messages: number) =>
  FlusherLayer.layer.pipe(
    Layer.provide(CacheIdCounter.layer),
    Layer.provide(
      Layer.mergeAll(FlushQueueValkey.layer, MessageCacheValkey.layer, MessageStorePostgres.layer),
    ),
    Layer.provide(Layer.merge(Valkey.layer, Postgres.layer)),
    Layer.provide(
      SettingsConfig.layer({
        keyPrefix,
        flushBatchSize: batchSize,
        maxCacheSize: messages + 1,
        flushInterval: Duration.days(1),
      }),
    ),
  )

const open: FlushContestant["open"] = ({ keyPrefix, batchSize, messages }) =>
  Layer.build(layer(keyPrefix, batchSize, messages.length)).pipe(
    Effect.map(Context.get(Flusher)),
    Effect.map(({ flush }) => Effect.asVoid(Effect.orDie(flush("public")))),
    Effect.orDie,
  )

/** chat-cache: the whole protocol, from reading the queue over decoding, inserting and the journal to acknowledging. */
export const contestant = (batchSize: number): FlushContestant => ({
  name: `chat-cache flush, batches of ${batchSize}`,
  baseline: baselineOf(batchSize),
  batchSize,
  open,
})

/** The same where PostgreSQL refuses some rows, which have to be found. The plain way would never get past the first. */
export const contestantWithBadRows = (batchSize: number, oneBadOf: number): FlushContestant => ({
  name: `chat-cache flush, batches of ${batchSize}, 1 of ${oneBadOf} rows bad`,
  baseline: baselineOf(batchSize),
  batchSize,
  oneBadOf,
  open,
})
