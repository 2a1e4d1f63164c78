import { Duration, Effect, Layer } from "effect"
import * as CacheIdCounter from "../../src/layers/CacheIdCounter.ts"
import * as FlushBatch from "../../src/layers/flushBatch.ts"
import * as FlushQueueValkey from "../../src/layers/FlushQueueValkey.ts"
import * as MessageCacheValkey from "../../src/layers/MessageCacheValkey.ts"
import * as MessageStorePostgres from "../../src/layers/MessageStorePostgres.ts"
import * as PostgresLayer from "../../src/layers/postgres/Postgres.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import * as ValkeyLayer from "../../src/layers/valkey/Valkey.ts"
import { check } from "../support/check.ts"
import * as connections from "../support/connections.ts"
import { fillQueue } from "../support/lists.ts"
import type { Contestant, MakeQuestion } from "../support/Question.ts"
import * as tables from "../support/tables.ts"

const backlogByDefault = 1_000_000
const partAtMost = 10_000

const keyPrefix = "bench:growth:flush:"
const { flushBatchSize, flushBatchBytes } = SettingsConfig.defaults

const layer = Layer.mergeAll(CacheIdCounter.layer).pipe(
  Layer.provideMerge(
    Layer.mergeAll(FlushQueueValkey.layer, MessageCacheValkey.layer, MessageStorePostgres.layer),
  ),
  Layer.provide(Layer.merge(ValkeyLayer.layer, PostgresLayer.layer)),
  Layer.provide(SettingsConfig.layer({ keyPrefix, flushInterval: Duration.days(1) })),
)

/** The steps of a flush, batch by batch, for as many entries as are asked for. */
const makeFlush = Effect.gen(function* () {
  const services = yield* Layer.build(layer)
  const flushBatch = yield* Effect.provide(FlushBatch.make, services)
  return (count: number) =>
    Effect.gen(function* () {
      let left = count
      while (left > 0) {
        const limit = { entries: Math.min(flushBatchSize, left), bytes: flushBatchBytes }
        left -= (yield* flushBatch("public", "request", limit)).entries
      }
    }).pipe(Effect.orDie)
}).pipe(Effect.orDie)

/** Whether flushing slows down with the backlog that is behind it, and with the table that it fills. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    yield* tables.migrate
    const client = yield* connections.valkey
    const postgres = yield* connections.postgres
    const flush = yield* makeFlush
    const backlog = options.messages ?? backlogByDefault
    const part = Math.min(partAtMost, Math.ceil(backlog / 4))
    const { flushQueue, counter } = Keys.make(keyPrefix)

    const stored = (expected: number) =>
      check(async () => {
        const rows = await tables.countRows(postgres)
        const texts = await tables.countTexts(postgres)
        const queued = await client.llen(flushQueue.public)
        return rows === expected && texts === expected && queued === backlog - expected
          ? undefined
          : `${expected} messages were to be stored: there are ${rows} rows of ${texts} messages, and ${queued} are queued`
      })
    const rewrite = connections.rewriteAppendOnlyFile(client)

    // The very first ones would be the only ones that were not read while others were stored.
    const first: Contestant = {
      name: `the second ${part} of ${backlog}`,
      prepare: Effect.promise(async () => {
        await tables.empty(postgres)
        await fillQueue(client, flushQueue.public, backlog, options)
        await client.set(counter.public, backlog)
      }).pipe(Effect.zipRight(flush(part)), Effect.zipRight(rewrite)),
      run: flush(part),
      check: stored(2 * part),
    }
    const last: Contestant = {
      name: `the last ${part} of ${backlog}`,
      baseline: first.name,
      prepare: flush(backlog - 3 * part).pipe(
        Effect.zipRight(Effect.promise(() => postgres.query("CHECKPOINT"))),
        Effect.zipRight(rewrite),
      ),
      run: flush(part),
      check: stored(backlog),
    }
    return {
      name: "growth, flush",
      asks: "does flushing slow down with the backlog and with the table?",
      unit: "rows/s",
      better: "higher",
      amount: part,
      conditions: [`a backlog of ${backlog} messages`, `batches of ${flushBatchSize}`],
      doesNotShow:
        "A table that no longer fits into memory. The second part of a backlog meets a table that is nearly empty, the last one a table of that size: the two influences are not told apart.",
      contestants: [first, last],
      maximumRepetitions: 3,
    }
  })
