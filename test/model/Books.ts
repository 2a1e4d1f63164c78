/**
 * What must hold after every command, whatever happened: each message is in exactly one place, or it was deleted, or a
 * loss of Valkey's data took it.
 *
 * The books are kept from what was given to the servers and what is found there. How chat-cache gets from the one to the
 * other is not repeated here.
 */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { QuarantineReason } from "../../src/domain/Event.ts"
import { highestCountedCacheId, type QueueName, queueNames } from "../../src/domain/Message.ts"
import type { QuarantineEntry } from "../../src/domain/Quarantine.ts"
import type { RateLimitSettings } from "../../src/domain/RateLimit.ts"
import * as JournalStateLayer from "../../src/layers/JournalState.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { type FoldedState, JournalState } from "../../src/services/JournalState.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { RateLimitStore } from "../../src/services/RateLimitStore.ts"
import type { Servers, StoredRow } from "./Servers.ts"

/** Bytes as text, to compare them and to look them up. */
export type Bytes = string

export const bytesOf = (entry: Uint8Array): Bytes => Buffer.from(entry).toString("latin1")

/** What is known of an entry from the moment that it is queued. */
export interface Origin {
  readonly queue: QueueName
  /** What was said, which no other message says. */
  readonly text: string
  /** `undefined` where it is derived from the bytes. */
  readonly messageId: string | undefined
  /** The id by which it can be deleted, also a derived one; `undefined` if it is not a message. */
  readonly identity: string | undefined
  /** Why it is not a message, `undefined` if it is one. */
  readonly undecodable: QuarantineReason | undefined
}

export const users = ["ann", "bob", "cyd"] as const
export type User = (typeof users)[number]

type PerQueue<A> = Record<QueueName, A>

/** What the servers hold. */
export interface Findings {
  readonly queues: PerQueue<ReadonlyArray<Bytes>>
  readonly counters: PerQueue<number | undefined>
  readonly recent: ReadonlyArray<Bytes>
  readonly recentPrivate: Readonly<Record<User, ReadonlyArray<Bytes>>>
  readonly limitInForce: RateLimitSettings | undefined
  readonly rows: PerQueue<ReadonlyArray<StoredRow>>
  /** The ids that were deleted for good. */
  readonly deleted: PerQueue<ReadonlySet<string>>
  /** The ids that readers of recent caches pass over. */
  readonly hidden: PerQueue<ReadonlySet<string>>
  readonly quarantine: ReadonlyArray<QuarantineEntry>
  /** The state that is kept up to date. */
  readonly live: FoldedState
}

export interface Limit {
  readonly settings: RateLimitSettings
  /** Which change of the limit it is, counted from 1. */
  readonly change: number
}

/** What Valkey should hold, apart from the queues and counters, which are judged by what leaves them. */
export interface ExpectedCache {
  recent: ReadonlyArray<Bytes>
  recentPrivate: Readonly<Record<User, ReadonlyArray<Bytes>>>
  limiters: Readonly<Record<string, { readonly count: number; readonly endsAt: number }>>
  limitInForce: Limit | undefined
}

export const emptyCache = (): ExpectedCache => ({
  recent: [],
  recentPrivate: { ann: [], bob: [], cyd: [] },
  limiters: {},
  limitInForce: undefined,
})

export interface Books {
  /** Every entry that ever stood in a queue. */
  readonly origins: Map<Bytes, Origin>
  /** Texts of corrected messages, with the id that the correction gave. */
  readonly corrections: Map<string, QueueName>
  /** What the queues hold by the last look and what was put into them since. */
  readonly queued: PerQueue<ReadonlyArray<Bytes>>
  /** Entries that stood in a queue when Valkey lost it. */
  readonly taken: Set<Bytes>
  /**
   * Entries that were in the hands of a flush without the lock after another one had dealt with them. Such a one may be
   * stored although it is quarantined, if PostgreSQL began to take it between the two.
   */
  readonly overlapped: Set<Bytes>
  /** Ids that somebody wanted to delete. */
  readonly deletions: PerQueue<Set<string>>
  /** Ids whose deletion was confirmed, and which no reader sees until Valkey loses data or goes back in time. */
  readonly unseen: PerQueue<Set<string>>
  /** Rows that a deletion took away. */
  readonly deletedRows: PerQueue<number>
  /** Rows that replaying added. */
  readonly replayedRows: PerQueue<number>
  /** False after what may leave a counter behind, until a flush has compared it with the table. */
  readonly counterTrusted: PerQueue<boolean>
  cache: ExpectedCache
  limitJournalled: Limit | undefined
  findings: Findings
}

const noRows: PerQueue<ReadonlyArray<never>> = { public: [], private: [] }

export const open = (findings: Findings): Books => ({
  origins: new Map(),
  corrections: new Map(),
  queued: { ...noRows },
  taken: new Set(),
  overlapped: new Set(),
  deletions: { public: new Set(), private: new Set() },
  unseen: { public: new Set(), private: new Set() },
  deletedRows: { public: 0, private: 0 },
  replayedRows: { public: 0, private: 0 },
  counterTrusted: { public: true, private: true },
  cache: emptyCache(),
  limitJournalled: undefined,
  findings,
})

const everything = { entries: 100_000, bytes: Number.MAX_SAFE_INTEGER }

/** Sees the servers past all disturbances. */
export interface Observer {
  readonly look: Effect.Effect<Findings>
  /** The journal, folded from its beginning. */
  readonly fold: Effect.Effect<FoldedState>
}

/** Whoever finds PostgreSQL read-only gives up the connections of his process, also those that look. */
const again = <A, E extends { readonly _tag: string }>(look: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.retry(look, { times: 3, while: ({ _tag }) => _tag === "StoreUnavailable" })

export const observer = (servers: Servers): Effect.Effect<Observer> =>
  Effect.gen(function* () {
    const cache = Context.get(servers.ports, MessageCache)
    const queue = Context.get(servers.ports, FlushQueue)
    const limits = Context.get(servers.ports, RateLimitStore)
    const store = Context.get(servers.ports, MessageStore)
    const journal = Layer.succeed(EventJournal, Context.get(servers.ports, EventJournal))
    const journalState = Effect.provide(JournalState, JournalStateLayer.layer.pipe(Layer.provide(journal)))
    const live = yield* journalState

    const perQueue = <A, E>(look: (name: QueueName) => Effect.Effect<A, E>) =>
      Effect.all({ public: look("public"), private: look("private") }, { concurrency: 2 })
    const recentOf = (user: User) => Effect.map(cache.recentPrivate(user), (entries) => entries.map(bytesOf))

    const look: Effect.Effect<Findings> = Effect.all(
      {
        queues: perQueue((name) =>
          Effect.map(queue.head(name, everything), (entries) => entries.map(bytesOf)),
        ),
        counters: perQueue(queue.lastCacheId),
        recent: Effect.map(cache.recent(), (entries) => entries.map(bytesOf)),
        recentPrivate: Effect.all({ ann: recentOf("ann"), bob: recentOf("bob"), cyd: recentOf("cyd") }),
        limitInForce: limits.settings,
        rows: perQueue(servers.control.rows),
        deleted: perQueue((name) => Effect.map(servers.control.deleted(name), (ids) => new Set(ids))),
        hidden: perQueue(cache.deletedIds),
        quarantine: again(store.quarantineEntries({ limit: 100_000 })),
        live: again(live.refresh),
      },
      { concurrency: "unbounded" },
    ).pipe(Effect.orDie)
    const fold = Effect.orDie(again(Effect.flatMap(journalState, ({ refresh }) => refresh)))
    return { look, fold }
  })

/** Where an entry is, apart from the queue. */
const placesOf = (books: Books, findings: Findings) => {
  const stored = new Map(
    queueNames.flatMap((queue) =>
      findings.rows[queue].map((row) => [`${queue} ${row.message}`, row] as const),
    ),
  )
  const quarantined = new Map<Bytes, Array<QuarantineEntry>>()
  for (const entry of findings.quarantine) {
    const bytes = bytesOf(entry.raw)
    quarantined.set(bytes, [...(quarantined.get(bytes) ?? []), entry])
  }
  return (bytes: Bytes) => {
    const { queue, text, messageId, identity, undecodable } = books.origins.get(bytes)!
    const row = undecodable === undefined ? stored.get(`${queue} ${text}`) : undefined
    const isStored = row !== undefined && (messageId === undefined || row.message_id === messageId)
    const isDeleted = findings.deleted[queue].has(identity ?? "")
    return { isStored, isDeleted, quarantined: quarantined.get(bytes) ?? [] }
  }
}

const isSettled = ({ isStored, isDeleted, quarantined }: ReturnType<ReturnType<typeof placesOf>>): boolean =>
  isStored || isDeleted || quarantined.length > 0

/** What is gone from a queue was at its head, and is stored, quarantined or deleted. */
const checkQueues = (books: Books, findings: Findings, placeOf: ReturnType<typeof placesOf>): void => {
  for (const queue of queueNames) {
    const before = books.queued[queue]
    const now = findings.queues[queue]
    const left = before.slice(0, Math.max(0, before.length - now.length))
    assert.deepStrictEqual(
      now,
      before.slice(left.length),
      `the ${queue} queue only loses entries at its head`,
    )
    for (const bytes of left) {
      assert.isTrue(isSettled(placeOf(bytes)), `left the ${queue} queue without being stored: ${bytes}`)
    }
    books.queued[queue] = now
  }
}

const checkRows = (books: Books, findings: Findings): void => {
  for (const queue of queueNames) {
    const rows = findings.rows[queue]
    assert.strictEqual(
      new Set(rows.map(({ message_id }) => message_id)).size,
      rows.length,
      "ids stored twice",
    )
    assert.strictEqual(new Set(rows.map(({ message }) => message)).size, rows.length, "messages stored twice")
    const deleted = findings.deleted[queue]
    for (const { message_id } of rows)
      assert.isFalse(deleted.has(message_id), `deleted and stored: ${message_id}`)
    const before = books.findings.rows[queue]
    const left = before.filter(({ message_id }) => !deleted.has(message_id))
    books.deletedRows[queue] += before.length - left.length
    assert.deepStrictEqual(rows.slice(0, left.length), left, "rows go only where they are deleted")
    const said = new Set(
      [...books.origins.values()]
        .filter((origin) => origin.queue === queue && origin.undecodable === undefined)
        .map(({ text }) => text),
    )
    for (const { message } of rows) {
      assert.isTrue(said.has(message) || books.corrections.get(message) === queue, `nobody said: ${message}`)
    }
  }
}

/** An entry is quarantined for its own fault alone. */
const checkReason = (books: Books, entry: QuarantineEntry): void => {
  const origin = books.origins.get(bytesOf(entry.raw))
  assert.isDefined(origin, `quarantined, but never queued: ${bytesOf(entry.raw)}`)
  assert.strictEqual(entry.queue, origin.queue)
  if (origin.undecodable !== undefined) {
    assert.strictEqual(entry.reason, origin.undecodable)
    return
  }
  if (entry.reason === "refused_by_postgres") {
    assert.match(origin.text, /^refused/, "quarantined although PostgreSQL takes it")
    return
  }
  assert.strictEqual(entry.reason, "message_id_conflict")
  // What it was in conflict with may be gone.
  if (origin.messageId !== undefined && books.findings.deleted[origin.queue].has(origin.messageId)) return
  const saidWithTheSameId = [...books.origins.values()].some(
    ({ queue, messageId, text }) =>
      queue === origin.queue && messageId === origin.messageId && text !== origin.text,
  )
  const row = books.findings.rows[origin.queue].find(({ message_id }) => message_id === origin.messageId)
  assert.isTrue(
    saidWithTheSameId || (row !== undefined && row.message !== origin.text),
    `quarantined as a conflict with nothing: ${origin.text}`,
  )
}

const checkPlaces = (books: Books, findings: Findings, placeOf: ReturnType<typeof placesOf>): void => {
  for (const entry of findings.quarantine) checkReason(books, entry)
  const queued = new Set(queueNames.flatMap((queue) => findings.queues[queue]))
  const timesQueued = new Map<string, number>()
  for (const { text } of books.origins.values()) timesQueued.set(text, (timesQueued.get(text) ?? 0) + 1)
  for (const [bytes, { text }] of books.origins) {
    const place = placeOf(bytes)
    const isLost = !isSettled(place) && !queued.has(bytes) && !books.taken.has(bytes)
    assert.isFalse(isLost, `lost: ${text}`)
    assert.isAtMost(place.quarantined.length, 1, `quarantined twice: ${text}`)
    if (books.overlapped.has(bytes)) continue
    if (timesQueued.get(text)! > 1) continue
    const isUnresolved = place.quarantined.some(({ status }) => status !== "replayed")
    assert.isFalse(place.isStored && isUnresolved, `stored and quarantined: ${text}`)
  }
}

const checkJournal = (books: Books, findings: Findings): void => {
  const { live, quarantine } = findings
  assert.deepStrictEqual(live.state.rateLimit, books.limitJournalled?.settings)
  for (const queue of queueNames) {
    const { flush, quarantine: totals } = live.state.queues[queue]
    const entries = quarantine.filter((entry) => entry.queue === queue)
    const having = (status: QuarantineEntry["status"]) =>
      entries.filter((entry) => entry.status === status).length
    assert.deepStrictEqual(
      totals,
      { open: having("open"), replayed: having("replayed"), discarded: having("discarded") },
      "the journal tells of every quarantined message",
    )
    assert.strictEqual(flush.quarantined, entries.length)
    assert.strictEqual(
      flush.persisted + books.replayedRows[queue],
      findings.rows[queue].length + books.deletedRows[queue],
      "the journal tells of every row",
    )
  }
}

/** Nothing is deleted that nobody wanted to delete, and what is deleted stays deleted. */
const checkDeletions = (books: Books, findings: Findings): void => {
  for (const queue of queueNames) {
    const deleted = findings.deleted[queue]
    for (const id of deleted) assert.isTrue(books.deletions[queue].has(id), `nobody deleted ${id}`)
    for (const id of books.findings.deleted[queue]) assert.isTrue(deleted.has(id), `forgotten: ${id}`)
  }
}

/** Entries of deleted messages may leave a cache at any time; those of others have to stay. */
const withoutRemoved = (
  expected: ReadonlyArray<Bytes>,
  found: ReadonlyArray<Bytes>,
  placeOf: ReturnType<typeof placesOf>,
): ReadonlyArray<Bytes> => expected.filter((bytes) => found.includes(bytes) || !placeOf(bytes).isDeleted)

const checkShown = (books: Books, findings: Findings): void => {
  const shown = [findings.recent, ...Object.values(findings.recentPrivate)].flat()
  for (const bytes of shown) {
    const { queue, text, identity: id = "" } = books.origins.get(bytes)!
    const isShown = !findings.hidden[queue].has(id)
    assert.isFalse(isShown && books.unseen[queue].has(id), `deleted and still shown: ${text}`)
  }
}

const checkCache = (books: Books, findings: Findings, placeOf: ReturnType<typeof placesOf>): void => {
  const { cache } = books
  cache.recent = withoutRemoved(cache.recent, findings.recent, placeOf)
  const left = (user: User) =>
    withoutRemoved(cache.recentPrivate[user], findings.recentPrivate[user], placeOf)
  cache.recentPrivate = { ann: left("ann"), bob: left("bob"), cyd: left("cyd") }
  checkShown(books, findings)
  assert.deepStrictEqual(findings.recent, cache.recent, "the recent list holds exactly the newest")
  assert.deepStrictEqual(findings.recentPrivate, cache.recentPrivate)
  assert.deepStrictEqual(findings.limitInForce, cache.limitInForce?.settings)
  for (const queue of queueNames) {
    const counter = findings.counters[queue]
    if (counter === undefined || !books.counterTrusted[queue]) continue
    const stored = findings.rows[queue].map(({ cache_id }) => cache_id)
    const greatest = Math.max(0, ...stored.filter((id) => id <= highestCountedCacheId))
    assert.isAtLeast(counter, greatest, `the ${queue} counter is behind what is stored`)
  }
}

/**
 * Compares what the servers hold with what they must hold, and takes it over.
 *
 * @param held what flushes that stand still have read
 */
export const check = (books: Books, findings: Findings, held: ReadonlyArray<Bytes>): void => {
  const placeOf = placesOf(books, findings)
  for (const bytes of held) if (isSettled(placeOf(bytes))) books.overlapped.add(bytes)
  checkDeletions(books, findings)
  checkQueues(books, findings, placeOf)
  checkRows(books, findings)
  books.findings = findings
  checkPlaces(books, findings, placeOf)
  checkJournal(books, findings)
  checkCache(books, findings, placeOf)
}

/** Valkey holds other queues than before: what is not in them was lost with them, if nothing else had it. */
export const changeQueue = (books: Books, queue: QueueName, after: ReadonlyArray<Bytes>): void => {
  const placeOf = placesOf(books, books.findings)
  const kept = new Set(after)
  for (const bytes of books.queued[queue]) {
    if (!kept.has(bytes) && !isSettled(placeOf(bytes))) books.taken.add(bytes)
  }
  books.queued[queue] = after
}
