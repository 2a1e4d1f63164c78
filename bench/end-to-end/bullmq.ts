import { Array as Arrays, Effect } from "effect"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { callsInFlight, messagesPerCall } from "../publish/publishAll.ts"
import * as bullmq from "../support/bullmq.ts"
import { completeNow } from "../support/messages.ts"
import type { EndToEndContestant } from "./EndToEndContestant.ts"
import * as GroupedInsert from "./GroupedInsert.ts"
import { publishAndStore } from "./publishAndStore.ts"
import { name as baseline } from "./wholeList.ts"

const concurrency = 500

/** Jobs that wait for each other's rows, so that one statement stores up to as many as are worked on at once. */
export const contestant: EndToEndContestant = {
  name: `BullMQ addBulk, worker of ${concurrency}, INSERT in groups`,
  baseline,
  comparison: "bullmq",
  oneOf: 4,
  open: (workload) =>
    Effect.gen(function* () {
      const { keyPrefix, drafts } = workload
      const queue = yield* bullmq.openQueue(keyPrefix)
      const server = yield* ValkeyServer
      const store = yield* GroupedInsert.make(concurrency, 1)
      return {
        clear: () => queue.obliterate({ force: true }),
        run: publishAndStore(workload, {
          items: Arrays.chunksOf(drafts, messagesPerCall),
          callers: callsInFlight,
          publish: (some) => Effect.promise(() => queue.addBulk(bullmq.jobsOf(some.map(completeNow)))),
          length: Effect.promise(() => queue.getWaitingCount()),
          store: () =>
            Effect.flatMap(bullmq.openWorker(queue, concurrency, store), (worker) =>
              Effect.async<number>((resume) => {
                let completed = 0
                worker.on("failed", (_job, error) => resume(Effect.die(error)))
                worker.on("completed", () => {
                  completed++
                  if (completed === drafts.length) resume(Effect.succeed(completed))
                })
              }),
            ).pipe(Effect.provideService(ValkeyServer, server)),
        }).pipe(Effect.asVoid),
      }
    }),
}
