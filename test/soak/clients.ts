/** The load: clients that publish, now and then read, and send again what they do not know the fate of. */
import { Clock, Effect, Random, Schedule } from "effect"
import { v7 as uuidV7 } from "uuid"
import { type QueueName, queueNames } from "../../src/domain/Message.ts"
import * as Books from "./books.ts"
import { type Draft, remove, send } from "./Sending.ts"
import type { World } from "./World.ts"

export interface Load {
  /** Answers by kind. */
  readonly counts: Map<string, number>
  /** Answers that no failure excuses. */
  readonly unexpected: Array<string>
  /** Messages of unknown fate that their clients want to send again. */
  readonly toSendAgain: Array<Letter>
  /** Texts of messages that were accepted, the newest last. */
  readonly accepted: Array<string>
}

/** A message on its way to one queue. */
interface Letter {
  readonly queue: QueueName
  readonly draft: Draft
}

export const makeLoad = (): Load => ({ counts: new Map(), unexpected: [], toSendAgain: [], accepted: [] })

/** What a text can be made of, to have all that has to be escaped on its way. */
const flavours = [
  "",
  "é ü 漢字 🙂",
  '"quoted" \\ \u2028 \u0001',
  "<b>&amp;</b> $1 {{x}}",
  "long ".repeat(400),
]

/** Of so many messages one may be refused by a table, while it has a constraint against it. */
const unwelcomeOneIn = 50

const pick = <A>(values: ReadonlyArray<A>) =>
  Effect.map(Random.nextIntBetween(0, values.length), (index) => values[index] as A)

const oneIn = (count: number) => Effect.map(Random.nextIntBetween(0, count), (drawn) => drawn === 0)

/** Random makes the load varied; that no two texts are alike is up to the number. */
const compose = (client: number, number: number, queue: QueueName, isUnwelcome: boolean) =>
  Effect.gen(function* () {
    const user = `client-${client}`
    const flavour = yield* pick(flavours)
    const to =
      queue === "public"
        ? { channel: "general" }
        : { recipient_id: `client-${yield* Random.nextIntBetween(0, 10)}`, recipient: "somebody" }
    const draft = {
      owner_id: user,
      username: user,
      ...to,
      message: `${client}.${number}${isUnwelcome ? " unwelcome" : ""} ${flavour}`,
    }
    // The others get an id from chat-cache.
    return (yield* oneIn(5)) ? draft : { ...draft, message_id: uuidV7() }
  })

const transmit = (
  world: World,
  { accepted, counts, unexpected, toSendAgain }: Load,
  url: string | undefined,
  queue: QueueName,
  drafts: ReadonlyArray<Draft>,
) =>
  Effect.gen(function* () {
    const outcomes = yield* send(world, url, queue, drafts, (answer) => unexpected.push(answer))
    drafts.forEach((draft, index) => {
      const { told, kind, messageId } = outcomes[index]!
      const claim = world.books.claims.get(draft.message)!
      Books.record(claim, told, messageId)
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
      if (told === "accepted") accepted.push(draft.message)
      const id = claim.messageId
      // One that a table may refuse could be quarantined the first time and stored the second.
      if (told === "accepted" || claim.told !== "unknown" || id === undefined || claim.unwelcome) return
      toSendAgain.push({ queue, draft: { ...draft, message_id: id } })
    })
  })

/** One of the daemons, or the library. */
const address = (world: World) => pick([...world.fleet.urls(), undefined])

const publish = (world: World, load: Load, client: number, first: number) =>
  Effect.gen(function* () {
    const queue = yield* pick(queueNames)
    const size = (yield* oneIn(3)) ? yield* Random.nextIntBetween(2, 40) : 1
    const drafts: Array<Draft> = []
    for (let number = first; number < first + size; number++) {
      const unwelcome = yield* oneIn(unwelcomeOneIn)
      const draft: Draft = yield* compose(client, number, queue, unwelcome)
      drafts.push(draft)
      world.books.claims.set(draft.message, {
        queue,
        unwelcome,
        told: undefined,
        messageId: draft.message_id,
      })
    }
    yield* transmit(world, load, yield* address(world), queue, drafts)
    return size
  })

/** Those of one queue that have waited longest. */
const sendAgain = (world: World, load: Load, most: number) =>
  Effect.gen(function* () {
    const queue = yield* pick(queueNames)
    const letters = load.toSendAgain.filter((letter) => letter.queue === queue).slice(0, most)
    if (letters.length === 0) return
    const taken = new Set(letters)
    load.toSendAgain.splice(0, Infinity, ...load.toSendAgain.filter((letter) => !taken.has(letter)))
    yield* transmit(
      world,
      load,
      yield* address(world),
      queue,
      letters.map(({ draft }) => draft),
    )
  })

/** Of so many messages that were accepted last, one is deleted. */
const deletable = 200

/** Not one that a table may refuse: it could be quarantined, where no deletion reaches it. */
const deleteOne = (world: World, { accepted, unexpected }: Load) =>
  Effect.gen(function* () {
    accepted.splice(0, accepted.length - deletable)
    const text: string | undefined = yield* pick(accepted)
    const url = yield* address(world)
    const claim = world.books.claims.get(text ?? "")
    if (claim === undefined || claim.messageId === undefined || claim.unwelcome) return
    claim.deletion ??= "attempted"
    const isDone = yield* remove(world, url, claim.queue, claim.messageId, (answer) =>
      unexpected.push(answer),
    )
    if (isDone) claim.deletion = "confirmed"
  })

const readable = new Set([200, 503])

const readFrom = async (url: string, { unexpected }: Load): Promise<void> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) })
    const text = await response.text()
    JSON.parse(text)
    if (!readable.has(response.status)) unexpected.push(`${url}: ${response.status} ${text.slice(0, 200)}`)
  } catch (error) {
    if (error instanceof SyntaxError) unexpected.push(`${url} is not answered with JSON`)
  }
}

const read = (world: World, load: Load) =>
  Effect.gen(function* () {
    const [url] = world.fleet.urls()
    const path = yield* pick(["/messages/recent", "/private-messages/recent/client-1", "/status"])
    if (url !== undefined) yield* Effect.promise(() => readFrom(`${url}${path}`, load))
  })

const client = (world: World, load: Load, name: number, until: number) =>
  Effect.gen(function* () {
    let number = 0
    while ((yield* Clock.currentTimeMillis) < until) {
      const action = yield* Random.nextIntBetween(0, 20)
      if (action === 0) yield* read(world, load)
      else if (action === 1) yield* deleteOne(world, load)
      else if (action < 6) yield* sendAgain(world, load, 20)
      else number += yield* publish(world, load, name, number)
      yield* Effect.sleep(yield* Random.nextIntBetween(20, 250))
    }
  })

/** Ends when every client has the answer to what it sent before `until`. */
export const run = (
  world: World,
  load: Load,
  { seed, clients, until }: { readonly seed: number; readonly clients: number; readonly until: number },
): Effect.Effect<void> =>
  Effect.forEach(
    Array.from({ length: clients }, (_, name) => name),
    (name) => Effect.withRandom(client(world, load, name, until), Random.make(`${seed} ${name}`)),
    { concurrency: "unbounded", discard: true },
  )

/** Once nothing fails any more, every message of unknown fate is confirmed. */
export const confirmAll = (world: World, load: Load): Effect.Effect<void> =>
  sendAgain(world, load, 100).pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: () => load.toSendAgain.length === 0 }),
    Effect.asVoid,
  )
