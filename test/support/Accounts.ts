/**
 * What was said to daemons, what they answered, and where it has ended: the check after every failure.
 *
 * What was accepted is in exactly one place once the queues are empty, what was refused is nowhere, and what has no
 * known outcome is in one place at most.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { v7 as uuidV7 } from "uuid"
import { type QueueName, queueNames } from "../../src/domain/Message.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Daemon from "./DaemonProcess.ts"
import { eventually } from "./eventually.ts"
import { query } from "./Servers.ts"

/**
 * - `accepted`: answered with a `cache_id`. In exactly one place.
 * - `unknown`: the answer was lost, or says that it is unknown. In one place at most.
 * - `refused`: the answer says that nothing was executed. Nowhere.
 * - `lost`: accepted, and the test has made the servers forget it. Nowhere.
 */
export type Outcome = "accepted" | "unknown" | "refused" | "lost"

/** How often a message is in each place. */
export interface Places {
  readonly stored: number
  readonly quarantined: number
  readonly queued: number
}

export interface Published extends Daemon.Answer {
  readonly messageId: string
}

interface Publication {
  readonly queue?: QueueName
  /** Sends a message again. */
  readonly messageId?: string
  /** In the place of what is said otherwise. */
  readonly fields?: Record<string, unknown>
}

type Servers = ValkeyServer | PostgresServer

export interface Accounts {
  /** Publishes one message, of a user of its own unless it says otherwise, and enters the outcome. Not interrupted before it is known. */
  readonly publish: (url: string, publication?: Publication) => Effect.Effect<Published>

  /** Publishes that many at the same time and returns their ids. All must be accepted. */
  readonly publishAll: (url: string, count: number, queue?: QueueName) => Effect.Effect<ReadonlyArray<string>>

  /**
   * Publishes one message after the other, with several clients, until it is interrupted. What is not accepted is sent
   * again with the same id, as the answers say, until it is.
   */
  readonly load: (url: string, clients?: number) => Effect.Effect<never>

  /** Enters what came in by another door, or changes what is expected of a message. */
  readonly enter: (outcome: Outcome, messageIds: ReadonlyArray<string>) => Effect.Effect<void>

  /** The ids that have an outcome. */
  readonly having: (outcome: Outcome) => Effect.Effect<ReadonlyArray<string>>

  /** Where everything is now, by `message_id`. Entries from which no id can be read are passed over. */
  readonly places: Effect.Effect<ReadonlyMap<string, Places>, never, Servers>

  /** Whatever is going on: what was accepted is somewhere, and no message is stored twice. */
  readonly nothingIsLost: Effect.Effect<void, never, Servers>

  /**
   * After the failure is over: waits until the queues have been worked off, which nobody here asks for, then checks where everything is, and that
   * each daemon is alive or ended as documented, and has told of no fault of its own.
   */
  readonly settle: (...daemons: ReadonlyArray<Daemon.DaemonProcess>) => Effect.Effect<void, never, Servers>
}

const tables: Record<QueueName, string> = { public: "chat_messages", private: "private_messages" }

const nowhere: Places = { stored: 0, quarantined: 0, queued: 0 }

/** Of the bytes of an entry, as they are in a queue or in the quarantine. */
const messageIdOf = (entry: Buffer): string | undefined => {
  try {
    return JSON.parse(entry.toString("utf8")).data.message_id
  } catch {
    return undefined
  }
}

const outcomeOf = ({ status, body }: Daemon.Answer): Outcome => {
  if (status === 202) return "accepted"
  if (status === 0 || body?.execution === "unknown") return "unknown"
  return "refused"
}

interface Draft {
  readonly queue: QueueName
  readonly content: { readonly message: string } & Record<string, unknown>
}

const draftOf = (number: number, messageId: string, { queue = "public", fields }: Publication): Draft => ({
  queue,
  content: {
    message_id: messageId,
    // A user of its own, so that no rate limit comes into it.
    owner_id: `owner ${number}`,
    username: "ada",
    ...(queue === "private" ? { recipient_id: "2", recipient: "bob" } : { channel: "general" }),
    message: `said ${messageId}`,
    ...fields,
  },
})

const look = (keyPrefix: string) =>
  Effect.gen(function* () {
    const { flushQueue } = Keys.make(keyPrefix)
    const postgres = yield* PostgresServer
    const raw = yield* rawClient((yield* ValkeyServer).url)
    const found = new Map<string, Places>()
    const count = (place: keyof Places, messageId: string | undefined) => {
      if (messageId === undefined) return
      const places = found.get(messageId) ?? nowhere
      found.set(messageId, { ...places, [place]: places[place] + 1 })
    }
    // The queue first: what a flush moves meanwhile is seen twice, and never not at all.
    for (const queue of queueNames) {
      const entries = yield* Effect.promise(() => raw.lrangeBuffer(flushQueue[queue], 0, -1))
      for (const entry of entries) count("queued", messageIdOf(entry))
    }
    for (const queue of queueNames) {
      const rows = yield* query(postgres.url, `SELECT message_id FROM ${tables[queue]}`)
      for (const row of rows) count("stored", row["message_id"] as string)
    }
    const quarantined = yield* query(postgres.url, "SELECT raw FROM quarantined_messages")
    for (const row of quarantined) count("quarantined", messageIdOf(row["raw"] as Buffer))
    return found
  }).pipe(Effect.scoped)

const queuesAreEmpty = (keyPrefix: string) =>
  Effect.gen(function* () {
    const { flushQueue } = Keys.make(keyPrefix)
    const raw = yield* rawClient((yield* ValkeyServer).url)
    const lengths = () => Promise.all(queueNames.map((queue) => raw.llen(flushQueue[queue])))
    yield* eventually(
      "the queues have been worked off",
      Effect.promise(async () => (await lengths()).every((length) => length === 0)),
      "45 seconds",
    )
  }).pipe(Effect.scoped)

/** What Node and the daemon say when something went wrong that nothing was prepared for. */
const faults =
  /unhandled|uncaught|MaxListenersExceeded|a fault|ended unexpectedly|broke off|at file:\/\/|accounted for/i

/** Ended by itself (0, 1 with messages left queued, 78 for a configuration), or by a test. */
const documentedEnds = new Set<unknown>([undefined, 0, 1, 78, "SIGKILL", "SIGTERM"])

const isSound = (daemon: Daemon.DaemonProcess, texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const output = yield* daemon.output
    assert.notMatch(output, faults)
    assert.isTrue(documentedEnds.has(yield* daemon.ended), `ended with ${yield* daemon.ended}:\n${output}`)
    for (const text of texts) assert.notInclude(output, text, "the text of a message is in the log")
  })

const checkPlace = (
  messageId: string,
  outcome: Outcome,
  { stored, quarantined, queued }: Places,
  allOver: boolean,
) => {
  const where = `${outcome} ${messageId}: stored ${stored}, quarantined ${quarantined}, queued ${queued} times`
  assert.isAtMost(stored, 1, where)
  if (outcome === "accepted") assert.isAtLeast(stored + quarantined + queued, 1, where)
  if (outcome === "refused" || outcome === "lost") assert.strictEqual(stored + quarantined + queued, 0, where)
  if (allOver) assert.isAtMost(stored + quarantined + queued, 1, where)
}

/** @param keyPrefix that of the daemons */
export const make = (keyPrefix = ""): Effect.Effect<Accounts> =>
  Effect.sync(() => {
    const outcomes = new Map<string, Outcome>()
    const drafts = new Map<string, Draft>()

    const publish = (url: string, publication: Publication = {}) =>
      Effect.gen(function* () {
        const messageId = publication.messageId ?? uuidV7()
        const draft = drafts.get(messageId) ?? draftOf(drafts.size + 1, messageId, publication)
        drafts.set(messageId, draft)
        const before = outcomes.get(messageId)
        // Until it is answered, and also when an earlier attempt may have got through.
        if (before !== "accepted") outcomes.set(messageId, "unknown")
        const route = draft.queue === "public" ? "messages" : "private-messages"
        const answer = yield* Daemon.request("POST", `${url}/${route}`, draft.content)
        const outcome = outcomeOf(answer)
        if (outcome === "accepted" || (outcome === "refused" && before !== "unknown")) {
          outcomes.set(messageId, before === "accepted" ? before : outcome)
        }
        return { ...answer, messageId }
      }).pipe(Effect.uninterruptible)

    const publishUntilAccepted = (url: string): Effect.Effect<void> =>
      Effect.flatMap(publish(url), ({ messageId, status }) =>
        status === 202
          ? Effect.void
          : publish(url, { messageId }).pipe(
              Effect.delay("20 millis"),
              Effect.repeat({ until: (again) => again.status === 202 }),
            ),
      )

    const check = (allOver: boolean) =>
      Effect.gen(function* () {
        const before = [...outcomes]
        const found = yield* look(keyPrefix)
        for (const [messageId, outcome] of before) {
          // Publishing may go on meanwhile.
          if (outcomes.get(messageId) !== outcome) continue
          checkPlace(messageId, outcome, found.get(messageId) ?? nowhere, allOver)
        }
        for (const messageId of found.keys()) {
          assert.isTrue(outcomes.has(messageId), `nobody has said ${messageId}`)
        }
      })

    return {
      publish,
      publishAll: (url, count, queue = "public") =>
        Effect.forEach(
          Array.from({ length: count }),
          () =>
            Effect.map(publish(url, { queue }), ({ messageId, status, body }) => {
              assert.strictEqual(status, 202, JSON.stringify(body))
              return messageId
            }),
          { concurrency: 16 },
        ),
      load: (url, clients = 4) =>
        Effect.all(
          Array.from({ length: clients }, () => Effect.forever(publishUntilAccepted(url))),
          { concurrency: "unbounded", discard: true },
        ).pipe(Effect.zipRight(Effect.never)),
      enter: (outcome, messageIds) =>
        Effect.sync(() => {
          for (const messageId of messageIds) outcomes.set(messageId, outcome)
        }),
      having: (wanted) =>
        Effect.sync(() =>
          [...outcomes].flatMap(([messageId, outcome]) => (outcome === wanted ? [messageId] : [])),
        ),
      places: look(keyPrefix),
      nothingIsLost: check(false),
      settle: (...daemons) =>
        Effect.gen(function* () {
          yield* queuesAreEmpty(keyPrefix)
          yield* check(true)
          const texts = [...drafts.values()].map(({ content }) => content.message)
          for (const daemon of daemons) yield* isSound(daemon, texts)
        }),
    }
  })
