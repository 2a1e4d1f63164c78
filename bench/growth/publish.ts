import { Effect } from "effect"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { findProblem } from "../publish/findProblem.ts"
import { check } from "../support/check.ts"
import * as connections from "../support/connections.ts"
import { inFlight } from "../support/inFlight.ts"
import { fillQueue, readList } from "../support/lists.ts"
import { makeDrafts } from "../support/messages.ts"
import * as publisher from "../support/publisher.ts"
import type { Contestant, MakeQuestion } from "../support/Question.ts"

const callersByDefault = 512
const longQueueByDefault = 1_000_000
const shortQueue = 1000
const publishedAtMost = 50_000

interface Circumstances {
  readonly queued: number
  readonly cached: number
}

const nameOf = ({ queued, cached }: Circumstances): string => `queue of ${queued}, recent cache of ${cached}`

/** Whether publishing gets slower with what is there already. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const client = yield* connections.valkey
    const longQueue = options.messages ?? longQueueByDefault
    const drafts = makeDrafts(Math.min(publishedAtMost, longQueue), options)
    const callers = options.callers ?? callersByDefault
    const cached = SettingsConfig.defaults.maxCacheSize
    const usual: Circumstances = { queued: Math.min(shortQueue, Math.ceil(longQueue / 10)), cached }

    const enter = Effect.fnUntraced(function* (circumstances: Circumstances, index: number) {
      const { queued, cached: maxCacheSize } = circumstances
      const keyPrefix = `bench:growth:publish:${index}:`
      const keys = Keys.make(keyPrefix)
      // Above the ids of the entries that are queued already, and never set back.
      yield* Effect.promise(() => client.setnx(keys.counter.public, queued))
      const { publish } = yield* publisher.open({
        keyPrefix,
        maxCacheSize,
        maxQueueLength: queued + drafts.length,
      })
      let cacheIds: ReadonlyArray<number> = []
      return {
        name: nameOf(circumstances),
        baseline: circumstances === usual ? undefined : nameOf(usual),
        prepare: Effect.promise(async () => {
          await client.ltrim(keys.flushQueue.public, 0, queued - 1)
          if ((await client.llen(keys.flushQueue.public)) !== queued) {
            await fillQueue(client, keys.flushQueue.public, queued, options)
          }
        }).pipe(Effect.zipRight(connections.rewriteAppendOnlyFile(client))),
        run: inFlight(callers, drafts, (draft) => publish("public", draft)).pipe(
          Effect.orDie,
          Effect.map((accepted) => {
            cacheIds = accepted.map(({ cache_id }) => cache_id)
          }),
        ),
        check: check(async () => {
          const length = await client.llen(keys.flushQueue.public)
          if (length !== queued + drafts.length) {
            return `${drafts.length} messages were accepted, ${length - queued} are queued`
          }
          const queue = await client.lrange(keys.flushQueue.public, queued, -1)
          const recent = await readList(client, keys.recent)
          const newest = Math.min(maxCacheSize, queue.length)
          return findProblem({ drafts, cacheIds, queue, recent: recent.slice(-newest), maxCacheSize })
        }),
      } satisfies Contestant
    })

    const all = [usual, { ...usual, queued: longQueue }, { ...usual, cached: cached * 10 }]
    return {
      name: "growth, publish",
      asks: "does publishing slow down with what is queued and cached already?",
      unit: "messages/s",
      better: "higher",
      amount: drafts.length,
      conditions: [`${drafts.length} messages in each run`, `${callers} callers`],
      doesNotShow:
        "A Valkey that runs out of memory; snapshots and rewrites of its files, which do not happen here.",
      contestants: yield* Effect.forEach(all, enter),
    }
  })
