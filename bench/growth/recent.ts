import { Context, Duration, Effect, Layer } from "effect"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { check } from "../support/check.ts"
import * as connections from "../support/connections.ts"
import * as Latencies from "../support/Latencies.ts"
import { fillQueue } from "../support/lists.ts"
import type { Contestant, MakeQuestion } from "../support/Question.ts"
import * as tables from "../support/tables.ts"

const readsByDefault = 1000
const shown = 50

const openChatCache = (keyPrefix: string, maxCacheSize: number) =>
  Layer.build(
    ChatCacheLayer.layer.pipe(
      Layer.provide(SettingsConfig.layer({ keyPrefix, maxCacheSize, shutdownTimeout: Duration.seconds(5) })),
    ),
  ).pipe(Effect.map(Context.get(ChatCache)), Effect.orDie)

/** Whether reading the newest messages takes longer from a longer cache. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const client = yield* connections.valkey
    const postgres = yield* connections.postgres
    // Ids that are in the table would have the counter raised above them, with a warning.
    yield* tables.migrate
    yield* Effect.promise(() => tables.empty(postgres))
    const reads = Math.min(Math.ceil((options.messages ?? Infinity) / 10), readsByDefault)
    const { maxCacheSize } = SettingsConfig.defaults
    const nameOf = (length: number) => `recent cache of ${length}`

    const enter = Effect.fnUntraced(function* (length: number) {
      const keyPrefix = `bench:growth:recent:${length}:`
      // A counter that is missing would have to be put there first, with a warning.
      yield* Effect.promise(() => client.set(Keys.make(keyPrefix).counter.public, length))
      const { recent } = yield* openChatCache(keyPrefix, length)
      let newest: ReadonlyArray<number> = []
      return {
        name: nameOf(length),
        baseline: length === maxCacheSize ? undefined : nameOf(maxCacheSize),
        prepare: Effect.promise(() => fillQueue(client, Keys.make(keyPrefix).recent, length, options)),
        run: Effect.gen(function* () {
          const latencies = Latencies.make()
          for (let read = 0; read < reads; read++) {
            const start = performance.now()
            const messages = yield* Effect.orDie(recent(shown))
            latencies.record(performance.now() - start)
            newest = messages.map(({ cache_id }) => cache_id)
          }
          const latency = latencies.percentiles()
          return { value: latency.p50, latency }
        }),
        check: check(async () => {
          const isNewest = newest.every((id, index) => id === length - shown + 1 + index)
          return newest.length === shown && isNewest ? undefined : "what was read is not what is newest"
        }),
      } satisfies Contestant
    })

    return {
      name: "growth, recent",
      asks: "does reading the newest messages take longer from a longer cache (median)?",
      unit: "µs",
      better: "lower",
      amount: reads,
      conditions: [`${reads} reads of the newest ${shown} messages in each run, one after the other`],
      doesNotShow: "Reading while others publish; HTTP; private caches.",
      contestants: yield* Effect.forEach([maxCacheSize, maxCacheSize * 10], enter),
    }
  })
