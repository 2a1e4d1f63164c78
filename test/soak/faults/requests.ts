/** What is asked of chat-cache, or put into its queues, at the wrong moment. */
import { Effect, Random } from "effect"
import { v7 as uuidV7 } from "uuid"
import { type QueueName, queueNames } from "../../../src/domain/Message.ts"
import * as Keys from "../../../src/layers/valkey/Keys.ts"
import * as DaemonProcess from "../../support/DaemonProcess.ts"
import { daemons } from "../Fleet.ts"
import { NotDone } from "../Servers.ts"
import type { World } from "../World.ts"
import { fault } from "./Strike.ts"

const { flushQueue } = Keys.make("")

const dataOf = (queue: QueueName, messageId: string, text: string) => ({
  message_id: messageId,
  owner_id: "poisoner",
  username: "poisoner",
  ...(queue === "public" ? { channel: "general" } : { recipient_id: "victim", recipient: "victim" }),
  message: text,
  authored_at: "2026-01-01T12:00:00.000Z",
})

const entryOf = (data: object): string => JSON.stringify({ cache_id: 1, data })

/** Entries that are not messages, no two alike. */
const poisonOf = (queue: QueueName): ReadonlyArray<string> => {
  const id = uuidV7()
  return [
    `{"cache_id":1,"data":${id}`,
    `{"cache_id":1,"data":{"message":"\xff ${id}"}}`,
    entryOf({ message: id }),
    entryOf({ ...dataOf(queue, id, "too long a name"), username: "u".repeat(65) }),
    entryOf({ ...dataOf(queue, id, "no \u0000 character") }),
  ]
}

const pushPoison = ({ books, servers }: World, target: number) => {
  const queue = queueNames[target]!
  const poison = poisonOf(queue)
  const messageId = uuidV7()
  const texts = [`rival one of ${messageId}`, `rival two of ${messageId}`] as const
  const rivals = texts.map((text) => entryOf(dataOf(queue, messageId, text)))
  for (const raw of poison) books.poison.push({ queue, raw })
  books.rivals.push({ queue, messageId, texts })
  const entries = [...poison, ...rivals].map((raw) => Buffer.from(raw, "latin1"))
  return servers
    .onValkey((client) => client.rpush(flushQueue[queue], ...entries))
    .pipe(
      Effect.asVoid,
      // It may have been pushed or not.
      Effect.tapError(() =>
        Effect.sync(() => {
          for (const raw of [...poison, ...texts]) books.lost.add(raw)
        }),
      ),
    )
}

const onEach = ({ fleet }: World, use: (url: string) => Effect.Effect<unknown>) =>
  Effect.forEach(fleet.urls(), use, { concurrency: "unbounded", discard: true }).pipe(
    // What a paused daemon answers later interests nobody.
    Effect.disconnect,
    Effect.timeoutOption("5 seconds"),
    Effect.asVoid,
  )

const usualLimit = { message_limit: 1_000_000, window_seconds: 60 }

const setLimit = (settings: typeof usualLimit) => (world: World, target: number) =>
  Effect.gen(function* () {
    const urls = world.fleet.urls()
    const url = urls[target % Math.max(1, urls.length)]
    const { status } =
      url === undefined ? { status: 0 } : yield* DaemonProcess.request("PUT", `${url}/rate-limit`, settings)
    if (status !== 200) return yield* new NotDone({ message: `the rate limit was answered with ${status}` })
  }).pipe(
    Effect.disconnect,
    Effect.timeoutFail({ duration: "20 seconds", onTimeout: () => new NotDone({ message: "no answer" }) }),
  )

export const requestFaults = [
  fault({
    name: "push-poison",
    strikes: "queue",
    targets: queueNames.length,
    weight: 5,
    strike: pushPoison,
  }),
  fault({
    name: "lower-rate-limit",
    strikes: "rate limit",
    targets: daemons,
    strike: setLimit({ message_limit: 3, window_seconds: 1 }),
    // Another daemon is asked the next time.
    heal: (world, target) =>
      Effect.flatMap(Random.nextIntBetween(0, daemons), (step) => setLimit(usualLimit)(world, target + step)),
  }),
  fault({
    name: "clear-private-caches",
    strikes: "private caches",
    strike: (world) =>
      onEach(world, (url) => DaemonProcess.request("DELETE", `${url}/private-messages/recent`)),
  }),
  fault({
    name: "flush-everywhere",
    strikes: "flush",
    weight: 2,
    strike: (world) => onEach(world, (url) => DaemonProcess.request("POST", `${url}/flush`)),
  }),
]
