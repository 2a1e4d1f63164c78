import type { Queue } from "bullmq"
import { Array as Arrays, Effect } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as bullmq from "../support/bullmq.ts"
import { inFlight } from "../support/inFlight.ts"
import { completeNow } from "../support/messages.ts"
import { name as baseline } from "./evalshaPerMessage.ts"
import { callsInFlight, messagesPerCall } from "./publishAll.ts"
import type { OtherPublishContestant } from "./PublishContestant.ts"

const readJobs = async (queue: Queue): Promise<ReadonlyMap<string, string>> => {
  const jobs = await queue.getJobs(["waiting"])
  return new Map(jobs.map(({ id, data }) => [id!, (data as PublicMessageDraft).message]))
}

/** A queue of jobs: what it keeps of each (attempts, states, events) is more than a message needs. */
export const contestant: OtherPublishContestant = {
  name: `BullMQ addBulk, ${callsInFlight} calls of ${messagesPerCall}`,
  baseline,
  comparison: "bullmq",
  oneOf: 10,
  open: ({ keyPrefix, drafts }) =>
    Effect.map(bullmq.openQueue(keyPrefix), (queue) => ({
      run: inFlight(callsInFlight, Arrays.chunksOf(drafts, messagesPerCall), (some) =>
        Effect.promise(() => queue.addBulk(bullmq.jobsOf(some.map(completeNow)))),
      ).pipe(Effect.map((added) => added.flat().map(({ id }) => id!))),
      clear: () => queue.obliterate({ force: true }),
      read: () => readJobs(queue),
    })),
}
