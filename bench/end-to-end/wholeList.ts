import { Effect } from "effect"
import type { Redis } from "iovalkey"
import type { DatabasePool } from "slonik"
import { setTimeout } from "node:timers/promises"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { insert, openPool, type QueuedEntry } from "../flush/insertPerRow.ts"
import * as evalshaPerMessage from "../publish/evalshaPerMessage.ts"
import * as connections from "../support/connections.ts"
import type { EndToEndContestant } from "./EndToEndContestant.ts"
import { publishAndStore } from "./publishAndStore.ts"

type Remove = (client: Redis, queue: string, read: number) => Promise<unknown>

const workOff = async (
  client: Redis,
  pool: DatabasePool,
  queue: string,
  remove: Remove,
  hasEnded: () => boolean,
): Promise<number> => {
  let stored = 0
  while (true) {
    const wasEnded = hasEnded()
    const texts = await client.lrange(queue, 0, -1)
    if (texts.length === 0) {
      if (wasEnded) return stored
      await setTimeout(1)
      continue
    }
    const entries = texts.map((text) => JSON.parse(text) as QueuedEntry)
    await pool.transaction(async (transaction) => {
      for (const entry of entries) await transaction.query(insert(entry))
    })
    await remove(client, queue, entries.length)
    stored += entries.length
  }
}

const open =
  (remove: Remove): EndToEndContestant["open"] =>
  (workload) =>
    Effect.gen(function* () {
      const { keyPrefix, drafts, callers } = workload
      const client = yield* connections.valkey
      const pool = yield* openPool
      const publish = yield* evalshaPerMessage.publishOne(keyPrefix, SettingsConfig.defaults.maxCacheSize)
      const queue = Keys.make(keyPrefix).flushQueue.public
      const run = publishAndStore(workload, {
        items: drafts,
        callers,
        publish,
        length: Effect.promise(() => client.llen(queue)),
        store: (hasEnded) => Effect.promise(() => workOff(client, pool, queue, remove, hasEnded)),
      }).pipe(
        Effect.map((stored) => {
          const lost = drafts.length - stored
          return {
            amount: stored,
            ...(lost === 0 ? {} : { remark: `${lost} of ${drafts.length} messages are lost` }),
          }
        }),
      )
      return { run }
    })

export const name = "LRANGE all, INSERT per row, LTRIM"

/** The baseline: the same without the loss. */
export const contestant: EndToEndContestant = {
  name,
  oneOf: 4,
  open: open((client, queue, read) => client.ltrim(queue, read, -1)),
}

/** What chat-cache was made to replace: whatever arrives between reading the list and deleting it is gone. */
export const original: EndToEndContestant = {
  name: "LRANGE all, INSERT per row, DEL (the original)",
  baseline: name,
  oneOf: 4,
  loses: true,
  open: open((client, queue) => client.del(queue)),
}
