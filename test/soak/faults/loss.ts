/** What a restart without an append-only file does to Valkey's data, and what a failover to a late replica does. */
import { Effect } from "effect"
import type { Redis } from "iovalkey"
import { queueNames } from "../../../src/domain/Message.ts"
import * as Keys from "../../../src/layers/valkey/Keys.ts"
import type { World } from "../World.ts"

const { flushQueue } = Keys.make("")

type Transaction = ReturnType<Redis["multi"]>
type Replies = ReadonlyArray<unknown>

const execute = async (transaction: Transaction): Promise<Replies> => {
  const replies = await transaction.exec()
  if (replies === null) throw new Error("the transaction was not executed")
  return replies.map(([error, reply]) => {
    if (error !== null) throw error
    return reply
  })
}

const readQueues = (transaction: Transaction): void => {
  for (const name of queueNames) transaction.lrangeBuffer(flushQueue[name], 0, -1)
}

const entriesOf = (replies: Replies): ReadonlySet<string> =>
  new Set(
    replies.flatMap((entries) => (entries as ReadonlyArray<Buffer>).map((entry) => entry.toString("latin1"))),
  )

const textOf = (raw: string): string | undefined => {
  try {
    return JSON.parse(Buffer.from(raw, "latin1").toString("utf8")).data.message
  } catch {
    return undefined
  }
}

/** The books allow for the loss of these entries, and of nothing else. */
const allow = ({ books }: World, entries: Iterable<string>): void => {
  for (const raw of entries) {
    books.lost.add(raw)
    const text = textOf(raw)
    if (text !== undefined) books.lost.add(text)
  }
}

export const loseEverything = (world: World) =>
  world.servers
    .onValkey((client) => {
      const transaction = client.multi()
      readQueues(transaction)
      return execute(transaction.flushall())
    })
    .pipe(Effect.map((replies) => allow(world, entriesOf(replies.slice(0, queueNames.length)))))

/** Whoever kills Valkey next loses at most what is queued now: nothing is written any more. */
export const loseLastWrites = (world: World) =>
  world.servers
    .onValkey(async (client) => {
      await client.call("CLIENT", "PAUSE", 10_000, "WRITE")
      const transaction = client.multi()
      readQueues(transaction)
      return execute(transaction)
    })
    .pipe(Effect.map((replies) => allow(world, entriesOf(replies))))

interface Copy {
  readonly keys: ReadonlyArray<{ readonly key: string; readonly bytes: Buffer; readonly timeToLive: number }>
  readonly entries: ReadonlySet<string>
}

const copy = async (client: Redis): Promise<Copy> => {
  const keys = await client.keys("*")
  const transaction = client.multi()
  readQueues(transaction)
  for (const key of keys) transaction.callBuffer("DUMP", key).pttl(key)
  const replies = await execute(transaction)
  const dumps = replies.slice(queueNames.length)
  return {
    entries: entriesOf(replies.slice(0, queueNames.length)),
    keys: keys.flatMap((key, index) => {
      const [bytes, timeToLive] = dumps.slice(index * 2, index * 2 + 2) as [Buffer | null, number]
      return bytes === null ? [] : [{ key, bytes, timeToLive: Math.max(0, timeToLive) }]
    }),
  }
}

const restore = async (client: Redis, { keys }: Copy): Promise<ReadonlySet<string>> => {
  const transaction = client.multi()
  readQueues(transaction)
  transaction.flushall()
  for (const { key, bytes, timeToLive } of keys) transaction.call("RESTORE", key, timeToLive, bytes)
  return entriesOf((await execute(transaction)).slice(0, queueNames.length))
}

/** A copy of the data, and half a second later the copy in the place of the data: the replica was that late. */
export const goBackInTime = (world: World) =>
  Effect.gen(function* () {
    const earlier = yield* world.servers.onValkey(copy)
    yield* Effect.sleep("500 millis")
    const now = yield* world.servers.onValkey((client) => restore(client, earlier))
    allow(
      world,
      [...now].filter((raw) => !earlier.entries.has(raw)),
    )
  })
