/** XADD by many callers at once, gathered into pipelines in the way in which chat-cache gathers its own calls. */
import { Effect } from "effect"
import type { Redis } from "iovalkey"
import { GroupCommit, type GroupCommitItem, type GroupCommitLimits } from "../../src/layers/GroupCommit.ts"

interface Item extends GroupCommitItem {
  readonly payload: string
  readonly settle: (reply: Effect.Effect<string>) => void
}

const limits: GroupCommitLimits = {
  batchesUnderWay: 4,
  batchItems: 128,
  batchSize: 1024 * 1024,
  waitingItems: 20_000,
  waitingSize: 32 * 1024 * 1024,
}

const append = async (client: Redis, stream: string, batch: ReadonlyArray<Item>): Promise<void> => {
  try {
    const pipeline = client.pipeline()
    for (const { payload } of batch) pipeline.xadd(stream, "*", "data", payload)
    const replies = (await pipeline.exec()) ?? []
    for (const [index, [error, id]] of replies.entries()) {
      batch[index]!.settle(error === null ? Effect.succeed(id as string) : Effect.die(error))
    }
  } catch (error) {
    for (const { settle } of batch) settle(Effect.die(error))
  }
}

/** Returns what adds one payload to the stream, and succeeds with its id. */
export const make = (client: Redis, stream: string): ((payload: string) => Effect.Effect<string>) => {
  const send = async (batch: ReadonlyArray<Item>, done: () => void) => {
    await append(client, stream, batch)
    done()
  }
  const groupCommit = new GroupCommit<Item>((batch, done) => void send(batch, done), limits)
  return (payload) =>
    Effect.async((resume) => {
      const taken = groupCommit.add({ payload, size: payload.length, settle: resume })
      if (!taken) resume(Effect.dieMessage("more callers than may wait"))
    })
}
