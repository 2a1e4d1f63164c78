import { Duration, Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { type Entry, entryTextOf } from "../domain/Entry.ts"
import type { CachedPublicMessage, QueueName } from "../domain/Message.ts"
import {
  type AppendOutcome,
  type AppendReply,
  deletedIdsLast,
  maximumAppend,
  maximumDeletedIds,
  MessageCache,
  type Publication,
} from "../services/MessageCache.ts"
import { Settings } from "../services/Settings.ts"
import { Valkey } from "../services/Valkey.ts"
import { orCounterMissing } from "./valkey/Failure.ts"
import * as Keys from "./valkey/Keys.ts"
import * as PublishCall from "./valkey/PublishCall.ts"
import { scanPages, stepSize } from "./valkey/scanPages.ts"
import * as Script from "./valkey/Script.ts"

const sampleSteps = 100
const samplePerUser = 10

const full: AppendOutcome = { _tag: "Full" }

/** The encoding of outcomes is described in the header of the script. */
const decodeOutcome = (reply: number | string): AppendOutcome => {
  if (typeof reply === "string") return { _tag: "Refused", reason: reply }
  if (reply > 0) return { _tag: "Appended", cacheId: reply }
  return reply === 0 ? full : { _tag: "Limited", retryAfterMs: -reply }
}

const decodeReply = (reply: ReadonlyArray<number | string>): AppendReply => {
  const outcomes: Array<AppendOutcome> = []
  for (let index = 1; index < reply.length; index++) outcomes.push(decodeOutcome(reply[index]!))
  return { outcomes, queueLength: reply[0] as number }
}

const make = Effect.gen(function* () {
  const valkey = yield* Valkey
  const settings = yield* Settings
  const keys = Keys.make(settings.keyPrefix)
  const publishMessages = yield* Script.load("publishMessages-3")
  const removeMessage = yield* Script.load("removeMessage-1")
  const prependEntries = yield* Script.load("prependEntries-2")
  const publishCall = PublishCall.make(keys, settings)

  /** Without a span and in as few steps as may be, since every message waits for it. */
  const append = (queue: QueueName, publications: ReadonlyArray<Publication>) =>
    Effect.suspend(() => {
      if (publications.length > maximumAppend) {
        return Effect.dieMessage(`append takes at most ${maximumAppend} publications`)
      }
      const { keys, args } = publishCall(queue, publications)
      return Effect.mapBoth(valkey.run("publish", publishMessages, keys, args), {
        onFailure: orCounterMissing(queue),
        onSuccess: (reply) => decodeReply(reply as ReadonlyArray<number | string>),
      })
    })

  const newest = (operation: string, key: string, most = settings.maxCacheSize) =>
    valkey
      .sendForBytes(operation, ["lrange", key, -Math.min(most, settings.maxCacheSize), -1])
      .pipe(Effect.map((reply) => reply as ReadonlyArray<Entry>))

  /** Steps through the keys until it has found enough, and gives up where private caches are rare among them. */
  const samplePrivate = Effect.fnUntraced(function* (limit: number) {
    const found: Array<Entry> = []
    let cursor = "0"
    for (let step = 0; step < sampleSteps; step++) {
      const reply = yield* valkey.send("sample recent", [
        "scan",
        cursor,
        "MATCH",
        keys.everyRecentPrivate,
        "COUNT",
        stepSize,
      ])
      const [next, some] = reply as [string, ReadonlyArray<string>]
      for (const key of some) {
        if (found.length < limit) {
          const most = Math.min(samplePerUser, limit - found.length)
          found.push(...(yield* newest("sample recent", key, most)))
        }
      }
      cursor = next
      if (cursor === "0" || found.length >= limit) break
    }
    return found
  })

  const prependToChannel = Effect.fn("MessageCache.prependToChannel")(function* (
    channel: string,
    first: Entry | undefined,
    older: ReadonlyArray<CachedPublicMessage>,
  ) {
    if (older.length > maximumAppend) {
      return yield* Effect.dieMessage(`prependToChannel takes at most ${maximumAppend} messages`)
    }
    const reply = yield* valkey.run(
      "complete channel cache",
      prependEntries,
      [keys.recentOfChannel(channel), keys.deleted.public],
      [
        first === undefined ? "" : createHash("sha1").update(first).digest("hex"),
        settings.maxCacheSize,
        Math.ceil(Duration.toMillis(settings.channelIdleTime)),
        ...older.toReversed().flatMap((message) => [message.message_id, entryTextOf(message)]),
      ],
    )
    return reply === 1
  })

  const clearAllPrivate = Effect.gen(function* () {
    let cleared = 0
    yield* scanPages(valkey, "clear private caches", keys.everyRecentPrivate, (found) =>
      valkey.send("clear private caches", ["unlink", ...found]).pipe(
        // UNLINK does not count a key that an earlier step has found and dropped already.
        Effect.map((dropped) => {
          cleared += dropped as number
        }),
      ),
    )
    return cleared
  })

  return MessageCache.of({
    append,
    recent: Effect.fn("MessageCache.recent")((most) => newest("recent", keys.recent, most)),
    recentOfChannel: Effect.fn("MessageCache.recentOfChannel")((channel, most) =>
      newest("recent of channel", keys.recentOfChannel(channel), most),
    ),
    prependToChannel,
    recentPrivate: Effect.fn("MessageCache.recentPrivate")((userId, most) =>
      newest("recent private", keys.recentPrivate(userId), most),
    ),
    deletedIds: Effect.fn("MessageCache.deletedIds")((queue) =>
      valkey
        .send("read deleted ids", ["zrange", keys.deleted[queue], 0, -1])
        .pipe(Effect.map((reply): ReadonlySet<string> => new Set(reply as ReadonlyArray<string>))),
    ),
    remove: Effect.fn("MessageCache.remove")((queue, messageId, shownTo) =>
      valkey
        .run(
          "remove message",
          removeMessage,
          [
            keys.deleted[queue],
            ...(queue === "public"
              ? [keys.recent, ...shownTo.map(keys.recentOfChannel)]
              : shownTo.map(keys.recentPrivate)),
          ],
          [messageId, maximumDeletedIds, Duration.toSeconds(deletedIdsLast)],
        )
        .pipe(Effect.asVoid),
    ),
    sample: Effect.fn("MessageCache.sample")((queue, limit) =>
      queue === "public" ? newest("sample recent", keys.recent, limit) : samplePrivate(limit),
    ),
    clearPrivate: Effect.fn("MessageCache.clearPrivate")((userId) =>
      valkey
        .send("clear private cache", ["unlink", keys.recentPrivate(userId)])
        .pipe(Effect.map((dropped) => dropped as number)),
    ),
    clearAllPrivate: clearAllPrivate.pipe(Effect.withSpan("MessageCache.clearAllPrivate")),
  })
})

export const layer: Layer.Layer<MessageCache, never, Valkey | Settings> = Layer.effect(MessageCache, make)
