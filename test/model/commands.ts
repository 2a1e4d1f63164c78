/** Everything that can happen, as commands of a model-based test. */
import { assert } from "@effect/vitest"
import { Context, Effect, Either, Exit } from "effect"
import * as fc from "fast-check"
import { decodeEntry } from "../../src/domain/Entry.ts"
import { type QueueName, queueNames } from "../../src/domain/Message.ts"
import type { QuarantineReason } from "../../src/domain/Event.ts"
import type { QuarantineEntry } from "../../src/domain/Quarantine.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import * as Books from "./Books.ts"
import {
  callFaults,
  type CallFault,
  type FlushProgress,
  type FlushStep,
  flushSteps,
  type StoreFault,
  storeFaults,
} from "./ChatProcess.ts"
import { type EvictableKey, evictableKeys } from "./Servers.ts"
import * as World from "./World.ts"

/** The model of fast-check is the world itself: the books in it are the model. */
export interface Command {
  readonly name: string
  readonly isPossible: (world: World.World) => boolean
  readonly run: (world: World.World) => Effect.Effect<void>
}

const always = () => true
const processIndex = fc.constantFrom<Array<World.ProcessIndex>>(0, 1)
const queueName = fc.constantFrom(...queueNames)
const user = fc.constantFrom(...Books.users)
const index = fc.nat(1000)
const at = <A>(items: ReadonlyArray<A>, position: number): A => items[position % items.length]!

const uuidOf = (number: number): string => `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`

const contentOf = (queue: QueueName, from: string, to: string, message: string) => ({
  owner_id: from,
  username: from,
  ...(queue === "public" ? { channel: "general" } : { recipient_id: to, recipient: to }),
  message,
})

const authoredAt = "2026-03-01T12:00:00Z"

// Publishing

interface Saying {
  readonly from: Books.User
  readonly to: Books.User
  readonly isRefused: boolean
  readonly withTime: boolean
}

const saying: fc.Arbitrary<Saying> = fc.record({
  from: user,
  to: user,
  isRefused: fc.integer({ min: 0, max: 7 }).map((chance) => chance === 0),
  withTime: fc.boolean(),
})

const say = (world: World.World, queue: QueueName, { from, to, isRefused, withTime }: Saying) => {
  const number = ++world.number
  return {
    message_id: uuidOf(number),
    ...contentOf(queue, from, to, `${isRefused ? "refused" : "said"} ${number}`),
    ...(withTime ? { authored_at: authoredAt } : {}),
  } as World.Draft["draft"]
}

/** Counts a message as the limit in force does. Returns whether it is within it. */
const count = (world: World.World, userId: string): boolean => {
  const { cache } = world.books
  const limit = cache.limitInForce?.settings ?? World.settings.rateLimit
  const windowEnd = world.now + limit.window_seconds * 1000
  const running = cache.limiters[userId]
  const limiter =
    running !== undefined && running.endsAt > world.now ? running : { count: 0, endsAt: windowEnd }
  const counted = { count: limiter.count + 1, endsAt: Math.min(limiter.endsAt, windowEnd) }
  cache.limiters = { ...cache.limiters, [userId]: counted }
  return counted.count <= limit.message_limit
}

/** Enters a message into the books that Valkey took. */
const enterAppended = (
  world: World.World,
  queue: QueueName,
  draft: World.Draft["draft"],
  payload: string,
  cacheId: number,
): void => {
  const { books } = world
  const said = JSON.parse(payload) as Record<string, string>
  assert.deepInclude(said, draft as object, "what was said is what is queued")
  const bytes = Buffer.from(`{"cache_id":${cacheId},"data":${payload}}`).toString("latin1")
  books.origins.set(bytes, {
    queue,
    text: draft.message,
    messageId: draft.message_id,
    identity: draft.message_id,
    undecodable: undefined,
  })
  books.queued[queue] = [...books.queued[queue], bytes]
  const push = (cache: ReadonlyArray<Books.Bytes>) => [...cache, bytes].slice(-World.settings.maxCacheSize)
  if (!("recipient_id" in draft)) {
    books.cache.recent = push(books.cache.recent)
    return
  }
  const caches = { ...books.cache.recentPrivate } as Record<string, ReadonlyArray<Books.Bytes>>
  for (const userId of new Set([draft.owner_id, draft.recipient_id])) caches[userId] = push(caches[userId]!)
  books.cache.recentPrivate = caches as Books.ExpectedCache["recentPrivate"]
}

/** What Valkey must have answered to messages that reached it. */
const checkAppended = (
  world: World.World,
  queue: QueueName,
  drafts: ReadonlyArray<World.Draft["draft"]>,
): ReadonlyArray<string> => {
  const [appended, ...more] = world.witness.appended.splice(0)
  assert.strictEqual(more.length, 0, "the messages travelled together, once")
  if (appended === undefined) return []
  let newest = world.books.findings.counters[queue] ?? 0
  return drafts.map((draft, position) => {
    const outcome = appended.reply.outcomes[position]!
    const isFull = world.books.queued[queue].length >= World.settings.maxQueueLength
    const expected = isFull ? "Full" : count(world, draft.owner_id) ? "Appended" : "Limited"
    assert.strictEqual(outcome._tag, expected, `the answer to ${draft.message}`)
    if (outcome._tag === "Appended") {
      assert.isAbove(outcome.cacheId, newest, "ids only grow")
      newest = outcome.cacheId
      enterAppended(world, queue, draft, appended.publications[position]!.payload, outcome.cacheId)
    }
    return expected
  })
}

const told = { Full: "QueueFull", Limited: "RateLimited" } as Readonly<Record<string, string>>

const publishDrafts = (
  world: World.World,
  process: World.ProcessIndex,
  queue: QueueName,
  drafts: ReadonlyArray<World.Draft["draft"]>,
  fault: CallFault | undefined,
) =>
  Effect.gen(function* () {
    const { books, disturbances } = world
    const isCounterMissing = books.findings.counters[queue] === undefined
    disturbances.append = fault
    const outcomes = yield* world.processes[process].process.publisher.publishAll(queue, drafts)
    disturbances.append = undefined
    // A counter that is missing shows when the call is executed. Then the limit is restored with it.
    const isExecuted = fault === undefined || fault === "reply lost"
    if (isCounterMissing && isExecuted && World.isReadable(world)) World.restoreLimit(world)
    if (isCounterMissing && !World.isReadable(world)) books.counterTrusted[queue] = false
    const answers = checkAppended(world, queue, drafts)
    for (const [position, outcome] of outcomes.entries()) {
      world.sent.push({ queue, draft: drafts[position]! })
      const answer = answers[position]
      const heard = Either.isRight(outcome) ? "Accepted" : outcome.left._tag
      if (fault !== undefined) assert.strictEqual(heard, "CacheUnavailable")
      else if (answer !== undefined) assert.strictEqual(heard, told[answer] ?? "Accepted")
      else assert.isTrue(heard === "CacheUnavailable" && isCounterMissing && !World.isReadable(world), heard)
    }
  })

const callFault = fc.option(fc.constantFrom(...callFaults), { freq: 5, nil: undefined })

const publish = (into: fc.Arbitrary<QueueName>, sayings = fc.array(saying, { minLength: 1, maxLength: 6 })) =>
  fc
    .record({
      process: processIndex,
      queue: into,
      sayings,
      fault: callFault,
    })
    .map(({ process, queue, sayings, fault }): Command => ({
      name: `publish ${sayings.length} ${queue} by ${process}: ${JSON.stringify(sayings.map(Object.values))}${fault === undefined ? "" : ` (${fault})`}`,
      isPossible: always,
      run: (world) =>
        Effect.suspend(() =>
          publishDrafts(
            world,
            process,
            queue,
            sayings.map((what) => say(world, queue, what)),
            fault,
          ),
        ),
    }))

const publishAgain = fc
  .record({ process: processIndex, which: index, withOtherContent: fc.boolean(), fault: callFault })
  .map(({ process, which, withOtherContent, fault }): Command => ({
    name: `publish message ${which} again by ${process}${withOtherContent ? " with other content" : ""}${fault === undefined ? "" : ` (${fault})`}`,
    isPossible: ({ sent }) => sent.length > 0,
    run: (world) =>
      Effect.suspend(() => {
        const { queue, draft } = at(world.sent, which)
        const again = withOtherContent ? { ...draft, message: `said ${++world.number}` } : draft
        return publishDrafts(world, process, queue, [again], fault)
      }),
  }))

// Flushing

const isFlushing = (world: World.World, process: World.ProcessIndex): boolean =>
  world.stopped[process] !== undefined

/** Judges how a flush went on, which stood still while `stopped` was true of it. */
const afterFlush = (
  world: World.World,
  process: World.ProcessIndex,
  progress: FlushProgress,
  flush: Omit<World.Stopped, "step"> & { readonly mayFail: boolean; readonly hasCompared: boolean },
): void => {
  const { books } = world
  const { queue, disruptions, readOnlySpells } = flush
  if (progress._tag === "Stopped") {
    world.stopped[process] = { step: progress.step, queue, disruptions, readOnlySpells }
    if (progress.step === "committed" || progress.step === "acknowledged") books.counterTrusted[queue] = false
    return
  }
  world.stopped[process] = undefined
  if (Exit.isFailure(progress.exit)) {
    assert.strictEqual(progress.exit.cause._tag, "Fail", `a flush died: ${String(progress.exit.cause)}`)
    assert.isTrue(flush.mayFail, `a flush failed without a cause: ${String(progress.exit.cause)}`)
    assert.notInclude(String(progress.exit.cause), "BooksOutOfBalance")
    books.counterTrusted[queue] = false
    return
  }
  if (progress.exit.value.entries > 0 && disruptions === world.disruptions && !flush.mayFail) {
    // One that compared the counter before it stood still knows nothing of what others have stored since.
    if (flush.hasCompared) return
    books.counterTrusted[queue] = true
  }
}

const stopAt = fc.option(fc.constantFrom(...flushSteps), { freq: 2, nil: undefined })

const stopName = (step: FlushStep | undefined) => (step === undefined ? "" : `, stopped at ${step}`)

interface FlushOptions {
  readonly process: fc.Arbitrary<World.ProcessIndex>
  readonly queue: fc.Arbitrary<QueueName>
  readonly step: fc.Arbitrary<FlushStep | undefined>
}

const flush = (options: FlushOptions) =>
  fc
    .record({ ...options, entries: fc.constantFrom(1, 3, 7, 30), acknowledge: callFault })
    .map(({ process, queue, entries, step, acknowledge }): Command => ({
      name: `flush ${entries} ${queue} by ${process}${stopName(step)}${acknowledge === undefined ? "" : ` (acknowledgement: ${acknowledge})`}`,
      isPossible: (world) => !isFlushing(world, process),
      run: (world) =>
        Effect.gen(function* () {
          const mayFail = World.isDisturbed(world) || acknowledge !== undefined
          const before = world.books.queued[queue].length
          world.disturbances.acknowledge = acknowledge
          const progress = yield* world.processes[process].process.startFlush(
            queue,
            { entries, bytes: 1_000_000 },
            step,
          )
          if (progress._tag === "Ended") world.disturbances.acknowledge = undefined
          const { disruptions, readOnlySpells } = world
          afterFlush(world, process, progress, {
            queue,
            disruptions,
            readOnlySpells,
            mayFail,
            hasCompared: false,
          })
          if (progress._tag === "Ended" && Exit.isSuccess(progress.exit)) {
            assert.strictEqual(progress.exit.value.entries, Math.min(before, entries))
          }
        }),
    }))

const continueFlush = (options: Omit<FlushOptions, "queue">) =>
  fc.record(options).map(({ process, step }): Command => ({
    name: `continue the flush of ${process}${stopName(step)}`,
    isPossible: (world) => isFlushing(world, process),
    run: (world) =>
      Effect.gen(function* () {
        const { step: stoodAt, queue, disruptions, readOnlySpells } = world.stopped[process]!
        const hasCompared = stoodAt !== "begin"
        world.stopped[process] = undefined
        const mayFail =
          World.isDisturbed(world) ||
          world.disturbances.acknowledge !== undefined ||
          world.readOnlySpells > readOnlySpells
        const progress = yield* world.processes[process].process.continueFlush(step)
        afterFlush(world, process, progress, { queue, disruptions, readOnlySpells, mayFail, hasCompared })
      }),
  }))

const killFlush = processIndex.map((process): Command => ({
  name: `kill the flush of ${process}`,
  isPossible: (world) => isFlushing(world, process),
  run: (world) =>
    Effect.gen(function* () {
      world.books.counterTrusted[world.stopped[process]!.queue] = false
      yield* world.processes[process].process.killFlush
      world.stopped[process] = undefined
    }),
}))

const acknowledgeLate = index.map((which): Command => ({
  name: `acknowledge batch ${which} once more`,
  isPossible: ({ witness }) => witness.committed.length > 0,
  run: (world) =>
    Effect.suspend(() => {
      const { queue, entries } = at(world.witness.committed, which)
      return Context.get(world.servers.ports, FlushQueue).acknowledge(queue, entries)
    }).pipe(Effect.asVoid, Effect.orDie),
}))

// Valkey

/** Nobody has noticed yet that counters are gone or older than they were. */
const disrupt = (world: World.World, canBeBehind: boolean): void => {
  world.disruptions++
  const isBehind = canBeBehind || world.stopped.some((stopped) => stopped !== undefined)
  for (const queue of queueNames) world.books.counterTrusted[queue] = !isBehind
}

/** Valkey may have forgotten what was deleted: until it is queued or deleted again, caches may show it. */
const showDeleted = (world: World.World): void => {
  for (const queue of queueNames) world.books.unseen[queue].clear()
}

const wipe: Command = {
  name: "Valkey loses everything",
  isPossible: always,
  run: (world) =>
    Effect.gen(function* () {
      yield* world.servers.control.wipe
      for (const queue of queueNames) Books.changeQueue(world.books, queue, [])
      world.books.cache = Books.emptyCache()
      showDeleted(world)
      disrupt(world, false)
    }),
}

const takeCopy: Command = {
  name: "a replica of Valkey stays behind",
  isPossible: always,
  run: (world) =>
    Effect.gen(function* () {
      world.copy = {
        restore: yield* world.servers.control.copy,
        queues: { ...world.books.queued },
        cache: { ...world.books.cache },
      }
    }),
}

const goBack: Command = {
  name: "failover to the replica that stayed behind",
  isPossible: ({ copy }) => copy !== undefined,
  run: (world) =>
    Effect.gen(function* () {
      const { restore, queues, cache } = world.copy!
      yield* restore
      for (const queue of queueNames) Books.changeQueue(world.books, queue, queues[queue])
      world.books.cache = { ...cache }
      showDeleted(world)
      disrupt(world, true)
    }),
}

const evict = fc.constantFrom(...evictableKeys).map((key: EvictableKey): Command => ({
  name: `Valkey evicts the ${key}`,
  isPossible: always,
  run: (world) =>
    Effect.gen(function* () {
      const { books } = world
      yield* world.servers.control.evict(key)
      if (key === "recent") books.cache.recent = []
      else if (key === "rate limit") books.cache.limitInForce = undefined
      else if (key === "public queue") Books.changeQueue(books, "public", [])
      else if (key === "private queue") Books.changeQueue(books, "private", [])
      else {
        const trusted = { ...books.counterTrusted }
        disrupt(world, true)
        const queue = key === "public counter" ? "public" : "private"
        const other = queue === "public" ? "private" : "public"
        books.counterTrusted[other] = trusted[other]
      }
    }),
}))

const clearPrivate = fc.option(user, { nil: undefined }).map((userId): Command => ({
  name: `drop the private cache of ${userId ?? "everybody"}`,
  isPossible: always,
  run: (world) =>
    Effect.gen(function* () {
      const cache = Context.get(world.servers.ports, MessageCache)
      const caches = world.books.cache.recentPrivate
      if (userId === undefined) {
        const held = Books.users.filter((name) => caches[name].length > 0).length
        assert.strictEqual(yield* cache.clearAllPrivate, held)
        world.books.cache.recentPrivate = Books.emptyCache().recentPrivate
      } else {
        assert.strictEqual(yield* cache.clearPrivate(userId), caches[userId].length > 0 ? 1 : 0)
        world.books.cache.recentPrivate = { ...caches, [userId]: [] }
      }
    }).pipe(Effect.orDie),
}))

const elapse = fc.constantFrom(700, 1900).map((seconds): Command => ({
  name: `${seconds} seconds pass`,
  isPossible: always,
  run: (world) =>
    Effect.suspend(() => {
      world.now += seconds * 1000
      return world.servers.control.elapse(seconds * 1000)
    }),
}))

// PostgreSQL

const breakStore = fc.constantFrom(...storeFaults).map((fault: StoreFault): Command => ({
  name: `PostgreSQL: ${fault}`,
  isPossible: always,
  run: (world) =>
    Effect.sync(() => {
      world.disturbances.store = fault
      if (fault === "read-only") world.readOnlySpells++
    }),
}))

const healStore: Command = {
  name: "PostgreSQL is well again",
  isPossible: ({ disturbances }) => disturbances.store !== undefined,
  run: (world) =>
    Effect.sync(() => {
      world.disturbances.store = undefined
    }),
}

const changeConstraint = fc.boolean().map((isOn): Command => ({
  name: `a constraint is ${isOn ? "added" : "dropped"}`,
  isPossible: ({ disturbances }) => disturbances.constraint !== isOn,
  run: (world) =>
    Effect.sync(() => {
      world.disturbances.constraint = isOn
    }),
}))

// Entries by other doors

interface Foreign {
  readonly kind: string
  readonly undecodable: QuarantineReason | undefined
  readonly bytes: (queue: QueueName, number: number) => Uint8Array
  readonly messageId: (number: number) => string | undefined
}

const entryOf = (cacheId: string, data: object): Uint8Array =>
  Buffer.from(`{"cache_id":${cacheId},"data":${JSON.stringify(data)}}`)

const foreignData = (queue: QueueName, number: number, changes: object = {}) => ({
  message_id: uuidOf(number),
  ...contentOf(queue, "eve", "ann", `said ${number}`),
  authored_at: authoredAt,
  ...changes,
})

const undecodable = (kind: string, reason: QuarantineReason, bytes: Foreign["bytes"]): Foreign => ({
  kind,
  undecodable: reason,
  bytes,
  messageId: () => undefined,
})

const wrongField = (kind: string, changes: object): Foreign =>
  undecodable(kind, "wrong_shape", (queue, number) => entryOf("7", foreignData(queue, number, changes)))

const foreignEntries: ReadonlyArray<Foreign> = [
  undecodable("text", "invalid_json", (_, number) => Buffer.from(`not JSON ${number}`)),
  undecodable("cut off", "invalid_json", (_, number) => Buffer.from(`{"cache_id":${number},"data":{`)),
  undecodable("deep", "invalid_json", (_, number) => Buffer.from(`${"[".repeat(5000)}${number}`)),
  undecodable("not UTF-8", "invalid_utf8", (_, number) =>
    Buffer.concat([Buffer.from(`{"${number}`), Buffer.from([0xff, 0xfe])]),
  ),
  undecodable("a number", "wrong_shape", (_, number) => Buffer.from(`${number}`)),
  undecodable("no data", "wrong_shape", (_, number) => Buffer.from(`{"cache_id":${number}}`)),
  undecodable("a huge id", "wrong_shape", (queue, number) => entryOf("1e400", foreignData(queue, number))),
  undecodable("a negative id", "wrong_shape", (queue, number) => entryOf("-1", foreignData(queue, number))),
  wrongField("a long name", { username: "x".repeat(65) }),
  wrongField("U+0000", { message: "a\u0000b" }),
  wrongField("a lone surrogate", { message: "\ud800" }),
  wrongField("null", { message: null }),
  wrongField("a missing field", { username: undefined }),
  wrongField("a wrong id", { message_id: "17" }),
  wrongField("a wrong time", { authored_at: "now" }),
  {
    kind: "a message",
    undecodable: undefined,
    bytes: (queue, number) => entryOf(String(number), foreignData(queue, number)),
    messageId: uuidOf,
  },
  {
    kind: "a message with a high id",
    undecodable: undefined,
    bytes: (queue, number) => entryOf("9007199254740991", foreignData(queue, number)),
    messageId: uuidOf,
  },
  {
    kind: "a message of the predecessor",
    undecodable: undefined,
    bytes: (queue, number) => {
      const { message_id: _, ...data } = foreignData(queue, number)
      return entryOf(String(number), data)
    },
    messageId: () => undefined,
  },
]

const foreign = fc.constantFrom(...foreignEntries)

const push = (into: fc.Arbitrary<QueueName>, entries = fc.array(foreign, { minLength: 1, maxLength: 3 })) =>
  fc.record({ queue: into, entries }).map(({ queue, entries }): Command => ({
    name: `another program queues ${entries.map(({ kind }) => kind).join(", ")} as ${queue}`,
    isPossible: always,
    run: (world) =>
      Effect.forEach(entries, (foreign) =>
        Effect.suspend(() => {
          const { books } = world
          const number = ++world.number
          const entry = foreign.bytes(queue, number)
          const bytes = Books.bytesOf(entry)
          books.origins.set(bytes, {
            queue,
            text: `said ${number}`,
            messageId: foreign.messageId(number),
            identity: Either.getOrUndefined(decodeEntry(queue, entry))?.message_id,
            undecodable: foreign.undecodable,
          })
          books.queued[queue] = [...books.queued[queue], bytes]
          books.counterTrusted[queue] = false
          return world.servers.control.push(queue, entry)
        }),
      ).pipe(Effect.asVoid),
  }))

// Quarantine

const entryAt = (world: World.World, which: number): QuarantineEntry =>
  at(world.books.findings.quarantine, which)

const isAnyQuarantined = ({ books }: World.World): boolean => books.findings.quarantine.length > 0

/** What replaying an open entry as it is must come to, with PostgreSQL at its service. */
const expectedReplay = (world: World.World, entry: QuarantineEntry): string => {
  const origin = world.books.origins.get(Books.bytesOf(entry.raw))!
  if (origin.undecodable !== undefined) return "ReplayRefused"
  if (world.books.findings.deleted[entry.queue].has(origin.identity ?? "")) return "ReplayRefused"
  const isRefused = world.disturbances.constraint && origin.text.startsWith("refused")
  const row = world.books.findings.rows[entry.queue].find(({ message_id }) => message_id === origin.messageId)
  return isRefused || (row !== undefined && row.message !== origin.text) ? "ReplayRefused" : "replayed"
}

/** @param expected what must come of it with PostgreSQL at its service, `undefined` if that depends */
const resolve = (
  world: World.World,
  entry: QuarantineEntry,
  expected: string | undefined,
  resolution: Effect.Effect<QuarantineEntry, { readonly _tag: string }>,
) =>
  Effect.gen(function* () {
    const rowsBefore = world.books.findings.rows[entry.queue].length
    const outcome = yield* resolution.pipe(
      Effect.map(({ status }): string => status),
      Effect.catchAll(({ _tag }) => Effect.succeed(_tag)),
    )
    if (!World.isDisturbed(world) && expected !== undefined) assert.strictEqual(outcome, expected)
    const after = yield* world.look
    const found = after.quarantine.find(({ id }) => id === entry.id)!
    if (entry.status !== "open") assert.strictEqual(found.status, entry.status, "resolved once and for all")
    world.books.replayedRows[entry.queue] += after.rows[entry.queue].length - rowsBefore
    // The counter may have been missing, and raised while PostgreSQL did not answer.
    if (World.isDisturbed(world)) world.books.counterTrusted[entry.queue] = false
  })

const replay = fc.record({ process: processIndex, which: index }).map(({ process, which }): Command => ({
  name: `replay quarantined message ${which} by ${process}`,
  isPossible: isAnyQuarantined,
  run: (world) =>
    Effect.suspend(() => {
      const entry = entryAt(world, which)
      const { quarantine } = world.processes[process].process
      const expected = {
        open: () => expectedReplay(world, entry),
        replayed: () => "replayed",
        discarded: () => "QuarantineEntryResolved",
      }[entry.status]()
      return resolve(world, entry, expected, quarantine.replay(entry.id))
    }),
}))

const correct = fc.record({ process: processIndex, which: index }).map(({ process, which }): Command => ({
  name: `replay quarantined message ${which} corrected by ${process}`,
  isPossible: isAnyQuarantined,
  run: (world) =>
    Effect.suspend(() => {
      const entry = entryAt(world, which)
      const number = ++world.number
      const text = `corrected ${number}`
      world.books.corrections.set(text, entry.queue)
      const draft = { message_id: uuidOf(number), ...contentOf(entry.queue, "ann", "bob", text) }
      const { quarantine } = world.processes[process].process
      // Whether its id is stored with other content by now, the books do not know.
      const expected = entry.status === "open" ? undefined : "QuarantineEntryResolved"
      return resolve(world, entry, expected, quarantine.replay(entry.id, draft))
    }),
}))

const discard = fc.record({ process: processIndex, which: index }).map(({ process, which }): Command => ({
  name: `discard quarantined message ${which} by ${process}`,
  isPossible: isAnyQuarantined,
  run: (world) =>
    Effect.suspend(() => {
      const entry = entryAt(world, which)
      const { quarantine } = world.processes[process].process
      const expected = entry.status === "replayed" ? "QuarantineEntryResolved" : "discarded"
      return resolve(world, entry, expected, quarantine.discard(entry.id))
    }),
}))

// Deleting

/** @returns an id of the queue that is known, or one of a message that is still to come */
const idToDelete = (world: World.World, queue: QueueName, which: number, isToCome: boolean): string => {
  const known = [...world.books.origins.values()].flatMap((origin) =>
    origin.queue === queue && origin.identity !== undefined ? [origin.identity] : [],
  )
  return isToCome || known.length === 0
    ? uuidOf(world.number + 1 + (which % 3))
    : // The newest first: those are queued.
      at(known.toReversed(), which % 12)
}

interface DeleteOptions {
  readonly process: fc.Arbitrary<World.ProcessIndex>
  readonly queue: fc.Arbitrary<QueueName>
}

const deleteMessage = (options: DeleteOptions) =>
  fc
    .record({
      ...options,
      which: index,
      isToCome: fc.integer({ min: 0, max: 5 }).map((chance) => chance === 0),
      fault: callFault,
    })
    .map(({ process, queue, which, isToCome, fault }): Command => ({
      name: `delete ${isToCome ? "a message to come" : "message"} ${which} of ${queue} by ${process}${fault === undefined ? "" : ` (${fault})`}`,
      isPossible: always,
      run: (world) =>
        Effect.gen(function* () {
          const { books, disturbances } = world
          const id = idToDelete(world, queue, which, isToCome)
          books.deletions[queue].add(id)
          disturbances.remove = fault
          const outcome = yield* Effect.either(world.processes[process].process.deletion.delete(queue, id))
          disturbances.remove = undefined
          const { deleted, hidden } = yield* world.look
          if (Either.isRight(outcome)) {
            assert.isTrue(deleted[queue].has(id), "a deletion that was confirmed is on record")
            books.unseen[queue].add(id)
            return
          }
          const { _tag } = outcome.left
          if (_tag === "CacheUnavailable") {
            assert.isDefined(fault)
            assert.isTrue(deleted[queue].has(id), "PostgreSQL comes first")
            return
          }
          assert.isTrue(World.isDisturbed(world), `a deletion failed without a cause: ${_tag}`)
          assert.deepStrictEqual(hidden, books.findings.hidden, "without PostgreSQL nothing has changed")
        }),
    }))

// Settings and processes

const changeLimit = fc
  .record({
    process: processIndex,
    message_limit: fc.constantFrom(3, 8, 100),
    window_seconds: fc.constantFrom(1000, 3000),
  })
  .map(({ process, ...limit }): Command => ({
    name: `limit users to ${limit.message_limit} in ${limit.window_seconds} s by ${process}`,
    isPossible: always,
    run: (world) =>
      Effect.gen(function* () {
        const { books } = world
        const outcome = yield* Effect.either(
          world.processes[process].process.rateLimiter.updateSettings(limit),
        )
        if (!World.isDisturbed(world)) assert.isTrue(Either.isRight(outcome))
        const { live } = yield* world.look
        const before = books.limitJournalled
        const isJournalled = live.rateLimitPosition !== books.findings.live.rateLimitPosition
        if (isJournalled) {
          books.limitJournalled = { settings: limit, change: (before?.change ?? 0) + 1 }
        }
        if (Either.isRight(outcome)) {
          assert.deepStrictEqual(books.limitJournalled?.settings, limit)
          World.restoreLimit(world)
        }
      }),
  }))

const restart = processIndex.map((process): Command => ({
  name: `process ${process} is killed and started again`,
  isPossible: always,
  run: (world) => World.restart(world, process),
}))

// Sequences that chance alone would make too rarely

const inSequence = (parts: ReadonlyArray<fc.Arbitrary<Command>>): fc.Arbitrary<Command> =>
  fc.tuple(...parts).map((sequence) => ({
    name: sequence.map(({ name }) => name).join(", then "),
    isPossible: always,
    run: (world) =>
      Effect.forEach(
        sequence,
        (command) =>
          Effect.suspend(() =>
            command.isPossible(world)
              ? Effect.zipRight(command.run(world), World.checkBooks(world))
              : Effect.void,
          ),
        { discard: true },
      ),
  }))

/** Valkey loses something, or others flush, while a flush stands still, and new messages take the place of the old. */
const overtakenFlush = fc.tuple(processIndex, queueName).chain(([process, queue]) => {
  const mine = { process: fc.constant(process), queue: fc.constant(queue) }
  const other = { process: fc.constant<World.ProcessIndex>(process === 0 ? 1 : 0), queue: mine.queue }
  const never = fc.constant(undefined)
  return inSequence([
    fc.constant(takeCopy),
    publish(mine.queue),
    flush({ ...mine, step: fc.constantFrom(...flushSteps) }),
    fc.oneof(fc.constant(wipe), fc.constant(goBack), flush({ ...other, step: never })),
    publish(mine.queue),
    continueFlush({ process: mine.process, step: never }),
  ])
})

/** One user meets a full queue, and goes on when there is room again. */
const fullQueue = fc.tuple(processIndex, queueName, user).chain(([process, queue, from]) => {
  const into = fc.constant(queue)
  const many = fc.array(
    saying.map((what) => ({ ...what, from })),
    { minLength: 6, maxLength: 6 },
  )
  const { maxQueueLength } = World.settings
  return inSequence([
    push(into, fc.array(foreign, { minLength: maxQueueLength, maxLength: maxQueueLength })),
    publish(into, many),
    flush({ process: fc.constant(process), queue: into, step: fc.constant(undefined) }),
    publish(into, many),
  ])
})

/** A message is deleted while a flush stands between reading and acknowledging it. */
const deletionWithinFlush = fc
  .tuple(processIndex, processIndex, queueName)
  .chain(([flushing, deleting, queue]) =>
    inSequence([
      publish(fc.constant(queue)),
      flush({
        process: fc.constant(flushing),
        queue: fc.constant(queue),
        step: fc.constantFrom(...flushSteps),
      }),
      deleteMessage({ process: fc.constant(deleting), queue: fc.constant(queue) }),
      continueFlush({ process: fc.constant(flushing), step: fc.constant(undefined) }),
    ]),
  )

const weighted: ReadonlyArray<readonly [number, fc.Arbitrary<Command>]> = [
  [6, publish(queueName)],
  [2, publishAgain],
  [6, flush({ process: processIndex, queue: queueName, step: stopAt })],
  [4, continueFlush({ process: processIndex, step: stopAt })],
  [1, killFlush],
  [2, acknowledgeLate],
  [1, fc.constant(wipe)],
  [1, fc.constant(takeCopy)],
  [1, fc.constant(goBack)],
  [1, evict],
  [1, clearPrivate],
  [1, elapse],
  [1, breakStore],
  [2, fc.constant(healStore)],
  [1, changeConstraint],
  [2, push(queueName)],
  [1, replay],
  [1, correct],
  [1, discard],
  [3, deleteMessage({ process: processIndex, queue: queueName })],
  [2, deletionWithinFlush],
  [1, changeLimit],
  [1, restart],
  [2, overtakenFlush],
  [1, fullQueue],
]

export const commands: ReadonlyArray<fc.Arbitrary<Command>> = weighted.flatMap(([weight, arbitrary]) =>
  Array.from({ length: weight }, () => arbitrary),
)
