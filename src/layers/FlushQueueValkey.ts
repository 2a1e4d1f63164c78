import { Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import type { Entry } from "../domain/Entry.ts"
import type { QueueName } from "../domain/Message.ts"
import { FlushQueue, type QueueRange, type ReadLimit } from "../services/FlushQueue.ts"
import { Settings } from "../services/Settings.ts"
import { Valkey } from "../services/Valkey.ts"
import { orCounterMissing } from "./valkey/Failure.ts"
import * as Keys from "./valkey/Keys.ts"
import * as Script from "./valkey/Script.ts"

const sha1 = (entry: Entry): string => createHash("sha1").update(entry).digest("hex")

/** By what a script recognises a run of entries: how many there are, and the first and the last. Nothing for none. */
const boundary = (entries: ReadonlyArray<Entry>): ReadonlyArray<string | number> => {
  const [first] = entries
  const last = entries.at(-1)
  return first === undefined || last === undefined ? [] : [entries.length, sha1(first), sha1(last)]
}

const make = Effect.gen(function* () {
  const valkey = yield* Valkey
  const keys = Keys.make((yield* Settings).keyPrefix)
  const readHead = yield* Script.load("readHead-1")
  const readQueuePage = yield* Script.load("readQueuePage-1")
  const acknowledgeBatch = yield* Script.load("acknowledgeBatch-1")
  const acknowledgeEntries = yield* Script.load("acknowledgeEntries-1")
  const readSnapshot = yield* Script.load("readSnapshot-2")
  const raise = yield* Script.load("raiseCounter-2")
  const takeCacheId = yield* Script.load("takeCacheId-1")

  const read = (queue: QueueName, limit: ReadLimit, skip: number, expected: ReadonlyArray<string | number>) =>
    valkey.runForBytes(
      "read queue",
      readHead,
      [keys.flushQueue[queue]],
      [limit.entries, limit.bytes, skip, ...expected],
    )

  const head = Effect.fn("FlushQueue.head")(function* (
    queue: QueueName,
    limit: ReadLimit,
    expected: ReadonlyArray<Entry> = [],
  ) {
    const reply = yield* read(queue, limit, 0, boundary(expected))
    return reply === null ? expected : (reply as ReadonlyArray<Entry>)
  })

  const following = Effect.fn("FlushQueue.following")((queue: QueueName, skip: number, limit: ReadLimit) =>
    read(queue, limit, skip, []).pipe(Effect.map((reply) => reply as ReadonlyArray<Entry>)),
  )

  const page = Effect.fn("FlushQueue.page")(function* (
    queue: QueueName,
    { direction, from }: QueueRange,
    limit: ReadLimit,
  ) {
    const [isInside, hasMore, ...entries] = (yield* valkey.runForBytes(
      "read queue",
      readQueuePage,
      [keys.flushQueue[queue]],
      [direction, from ?? "", limit.entries, limit.bytes],
    )) as [number, number, ...Array<Entry>]
    return { entries, isInside: isInside === 1, hasMore: hasMore === 1 }
  })

  const acknowledge = Effect.fn("FlushQueue.acknowledge")(function* (
    queue: QueueName,
    entries: ReadonlyArray<Entry>,
  ) {
    if (entries.length === 0) return 0
    const key = [keys.flushQueue[queue]]
    const removed = yield* valkey.run("acknowledge", acknowledgeBatch, key, boundary(entries))
    if (removed !== -1) return removed as number
    return (yield* valkey.run("acknowledge", acknowledgeEntries, key, entries.map(sha1))) as number
  })

  const lastCacheId = Effect.fn("FlushQueue.lastCacheId")(function* (queue: QueueName) {
    const held = yield* valkey.send("read counter", ["get", keys.counter[queue]])
    return held === null ? undefined : Number(held)
  })

  const snapshot = Effect.fn("FlushQueue.snapshot")(function* (queue: QueueName) {
    const reply = yield* valkey.runForBytes(
      "read queue and counter",
      readSnapshot,
      [keys.flushQueue[queue], keys.counter[queue]],
      [],
    )
    const [length, first, held] = reply as [number, Entry | null, Uint8Array | null]
    return {
      length,
      head: first ?? undefined,
      lastCacheId: held === null ? undefined : Number(Buffer.from(held).toString("latin1")),
    }
  })

  const raiseCounter = Effect.fn("FlushQueue.raiseCounter")(function* (queue: QueueName, floor: number) {
    const reply = yield* valkey.run(
      "raise counter",
      raise,
      [keys.counter[queue], keys.flushQueue[queue]],
      [floor],
    )
    const [before, after] = reply as [string | null, string]
    return { before: before === null ? undefined : Number(before), after: Number(after) }
  })

  const nextCacheId = Effect.fn("FlushQueue.nextCacheId")((queue: QueueName) =>
    valkey.run("take id", takeCacheId, [keys.counter[queue]], []).pipe(
      Effect.map((id) => id as number),
      Effect.mapError(orCounterMissing(queue)),
    ),
  )

  return FlushQueue.of({
    head,
    following,
    page,
    acknowledge,
    length: Effect.fn("FlushQueue.length")((queue) =>
      valkey
        .send("read queue length", ["llen", keys.flushQueue[queue]])
        .pipe(Effect.map((length) => length as number)),
    ),
    snapshot,
    lastCacheId,
    raiseCounter,
    nextCacheId,
  })
})

export const layer: Layer.Layer<FlushQueue, never, Valkey | Settings> = Layer.effect(FlushQueue, make)
