import { Context, Effect } from "effect"
import { v7 as uuidV7 } from "uuid"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { Deletion } from "../../src/services/Deletion.ts"
import { check } from "../support/check.ts"
import * as connections from "../support/connections.ts"
import * as Latencies from "../support/Latencies.ts"
import { fillQueue } from "../support/lists.ts"
import * as publisher from "../support/publisher.ts"
import type { Contestant, MakeQuestion } from "../support/Question.ts"
import * as tables from "../support/tables.ts"

const longQueueByDefault = 100_000
/** Fewer than readers are told of: `maximumDeletedIds`. */
const deletionsAtMost = 500

const messageIdOf = (entry: string): string =>
  (JSON.parse(entry) as { readonly data: { readonly message_id: string } }).data.message_id

/** Whether deleting takes longer while many messages are queued. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    yield* tables.migrate
    const client = yield* connections.valkey
    const postgres = yield* connections.postgres
    const longQueue = Math.min(options.messages ?? longQueueByDefault, longQueueByDefault)
    const deletions = Math.min(deletionsAtMost, Math.ceil(longQueue / 10))

    const enter = Effect.fnUntraced(function* (queued: number) {
      const keyPrefix = `bench:growth:deletion:${queued}:`
      const { flushQueue, deleted } = Keys.make(keyPrefix)
      const deletion = Context.get(yield* publisher.openServices({ keyPrefix }), Deletion)
      let messageIds: ReadonlyArray<string> = []
      return {
        name: queued === 0 ? "nothing queued" : `${queued} queued`,
        baseline: queued === 0 ? undefined : "nothing queued",
        prepare: Effect.promise(async () => {
          await tables.empty(postgres)
          await postgres.query("TRUNCATE deleted_messages")
          await client.del(deleted.public)
          await fillQueue(client, flushQueue.public, queued, options)
          // From the middle of the queue, where a search from either end would have the longest way.
          const middle = Math.floor((queued - deletions) / 2)
          const entries =
            queued === 0 ? [] : await client.lrange(flushQueue.public, middle, middle + deletions - 1)
          messageIds =
            queued === 0 ? Array.from({ length: deletions }, () => uuidV7()) : entries.map(messageIdOf)
        }).pipe(Effect.zipRight(connections.rewriteAppendOnlyFile(client))),
        run: Effect.gen(function* () {
          const latencies = Latencies.make()
          for (const messageId of messageIds) {
            const start = performance.now()
            yield* Effect.orDie(deletion.delete("public", messageId))
            latencies.record(performance.now() - start)
          }
          const latency = latencies.percentiles()
          return { value: latency.p50, latency }
        }),
        check: check(async () => {
          const noted = await client.zcard(deleted.public)
          return noted === deletions
            ? undefined
            : `${deletions} messages were deleted, ${noted} are noted as that`
        }),
      } satisfies Contestant
    })

    return {
      name: "growth, deletion",
      asks: "does deleting a message take longer while many are queued (median)?",
      unit: "µs",
      better: "lower",
      amount: deletions,
      conditions: [`${deletions} messages deleted in each run, one after the other`],
      doesNotShow:
        "Messages that are in the table already; a table that is large. Most of the time is that of a COMMIT, which depends on the disk.",
      contestants: yield* Effect.forEach([0, longQueue], enter),
    }
  })
