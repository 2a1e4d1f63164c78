/**
 * Every await has a deadline: no operation of any service waits longer for a server that says nothing than its
 * documentation says, and each works again when the server does.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Context, Effect, Exit, Fiber, Layer, Option, Redacted, Stream } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as AuditLayer from "../../src/layers/Audit.ts"
import * as CacheHealthValkey from "../../src/layers/CacheHealthValkey.ts"
import * as CacheIdCounterLayer from "../../src/layers/CacheIdCounter.ts"
import * as ChannelRecentLayer from "../../src/layers/ChannelRecent.ts"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as DeletionLayer from "../../src/layers/Deletion.ts"
import * as DoctorLayer from "../../src/layers/Doctor.ts"
import * as EventJournalPostgres from "../../src/layers/EventJournalPostgres.ts"
import * as FlusherLayer from "../../src/layers/Flusher.ts"
import * as FlushQueueValkey from "../../src/layers/FlushQueueValkey.ts"
import * as HistoryLayer from "../../src/layers/History.ts"
import * as ImporterLayer from "../../src/layers/Importer.ts"
import * as InstanceLayer from "../../src/layers/Instance.ts"
import * as JournalStateLayer from "../../src/layers/JournalState.ts"
import * as MessageCacheValkey from "../../src/layers/MessageCacheValkey.ts"
import * as MessageStorePostgres from "../../src/layers/MessageStorePostgres.ts"
import * as MigratorPostgres from "../../src/layers/MigratorPostgres.ts"
import * as PostgresLayer from "../../src/layers/postgres/Postgres.ts"
import * as PredecessorPostgres from "../../src/layers/PredecessorPostgres.ts"
import * as PublisherLayer from "../../src/layers/Publisher.ts"
import * as QuarantineLayer from "../../src/layers/Quarantine.ts"
import * as RateLimiterLayer from "../../src/layers/RateLimiter.ts"
import * as RateLimitStoreValkey from "../../src/layers/RateLimitStoreValkey.ts"
import * as ServiceManagerSystemd from "../../src/layers/ServiceManagerSystemd.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as StatusLayer from "../../src/layers/Status.ts"
import * as StoreHealthPostgres from "../../src/layers/StoreHealthPostgres.ts"
import * as StoreSnapshotPostgres from "../../src/layers/StoreSnapshotPostgres.ts"
import * as ValkeyLayer from "../../src/layers/valkey/Valkey.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { eventually } from "../support/eventually.ts"
import { freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { data, draft, type Entry, type Server, table, type TypedError } from "./operations.ts"

const ports = Layer.mergeAll(
  CacheHealthValkey.layer,
  EventJournalPostgres.layer,
  FlushQueueValkey.layer,
  MessageCacheValkey.layer,
  MessageStorePostgres.layer,
  MigratorPostgres.layer,
  PredecessorPostgres.layer,
  RateLimitStoreValkey.layer,
  StoreHealthPostgres.layer,
  StoreSnapshotPostgres.layer,
).pipe(Layer.provideMerge(Layer.merge(ValkeyLayer.layer, PostgresLayer.layer)))

/** As the daemon has them, with nothing hidden. */
const everything = Layer.mergeAll(
  ChatCacheLayer.layerWithoutDependencies,
  ChannelRecentLayer.layer,
  DoctorLayer.layer,
  StatusLayer.layer,
).pipe(
  Layer.provideMerge(Layer.mergeAll(AuditLayer.layer, HistoryLayer.layer, ImporterLayer.layer)),
  Layer.provideMerge(Layer.mergeAll(DeletionLayer.layer, PublisherLayer.layer, QuarantineLayer.layer)),
  Layer.provideMerge(FlusherLayer.layer),
  Layer.provideMerge(RateLimiterLayer.layer),
  Layer.provideMerge(Layer.merge(CacheIdCounterLayer.layer, JournalStateLayer.layer)),
  Layer.provideMerge(Layer.merge(InstanceLayer.layer, ServiceManagerSystemd.layerConfig)),
  Layer.provideMerge(ports),
)

const services = new URL("../../src/services/", import.meta.url)

const sources = readdirSync(services).map((file) => readFileSync(new URL(file, services), "utf8"))

/** The comment that ends where the text does. */
const commentBefore = (text: string): string => /\/\*\*(?:(?!\*\/)[^])*\*\/\s*$/.exec(text)?.[0] ?? ""

/** The seconds that the documentation of an operation, or of its whole service, allows it. */
const documentedSeconds = (
  name: string,
  operation: string,
  givenSeconds: number | undefined,
): number | undefined => {
  const declaration = `export class ${name} extends Context.Tag(`
  const source = sources.find((text) => text.includes(declaration)) ?? ""
  const start = source.indexOf(declaration)
  const declared = source.indexOf(`readonly ${operation}:`, start)
  for (const comment of [source.slice(start, declared), source.slice(0, start)].map(commentBefore)) {
    if (/never waits/i.test(comment)) return 0
    if (givenSeconds !== undefined && /within\s+the\s+deadline/i.test(comment)) return givenSeconds
    const seconds = /within\s+(?:\*\s+)?(\d+) seconds/i.exec(comment)?.[1]
    if (seconds !== undefined) return Number(seconds)
  }
  return undefined
}

/** Processes take turns on a busy machine, and a connection that is given up has a second to say goodbye. */
const patienceSeconds = 4

const nameOf = ({ tag }: Entry): string => tag.key.replace("chat-cache/", "")

const operationsOf = (entry: Entry, isLast: boolean) =>
  Object.entries(entry.operations).flatMap(([name, operation]) =>
    operation === data || (operation.isLast ?? false) !== isLast
      ? []
      : [{ service: nameOf(entry), name, tag: entry.tag, ...operation }],
  )

const unavailable = ["CacheUnavailable", "StoreUnavailable"]

/** Any other answer than that a server is away is the service at its work. */
const works = (exit: Exit.Exit<unknown, TypedError>): boolean =>
  Exit.isSuccess(exit) || (Cause.isFailType(exit.cause) && !unavailable.includes(exit.cause.error._tag))

const outcomeOf = (exit: Exit.Exit<unknown, TypedError>): string =>
  Exit.isSuccess(exit)
    ? "succeeds"
    : Option.match(Cause.failureOption(exit.cause), {
        onNone: () => Cause.pretty(exit.cause),
        onSome: ({ _tag }) => _tag,
      })

/** Longer than a reading of the journal takes to fail: by then it has been tried again. */
const waitingSeconds = 20

/** The same of a stream that waits: what is wrong is that it ends, or that nobody can leave it. */
const judgeWaiting = (name: string, stream: Effect.Effect<unknown, TypedError>, seconds: number) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkDaemon(stream)
    const ended = yield* Effect.timeoutOption(Fiber.await(fiber), `${waitingSeconds} seconds`)
    if (Option.isSome(ended)) return `${name} does not wait: ${outcomeOf(ended.value)}`
    const left = yield* Fiber.interrupt(fiber).pipe(
      Effect.disconnect,
      Effect.timeoutOption(`${seconds + patienceSeconds} seconds`),
    )
    return Option.isNone(left) ? `${name} cannot be left within ${seconds} seconds` : undefined
  })

/** What is wrong with how an operation ends while the server says nothing, and `undefined` when nothing is. */
const judge = (
  { run, tag, needs, ...named }: ReturnType<typeof operationsOf>[number],
  context: Context.Context<never>,
  silent: Server,
) =>
  Effect.gen(function* () {
    const name = `${named.service}.${named.name}`
    const seconds = documentedSeconds(named.service, named.name, named.givenSeconds)
    if (seconds === undefined) return `${name} has no documented time`
    const operation = run(Context.unsafeGet(context, tag))
    if (named.waits === true && needs.includes(silent)) return yield* judgeWaiting(name, operation, seconds)
    const startedAt = yield* Clock.currentTimeMillis
    const exit = yield* Effect.exit(operation).pipe(
      Effect.disconnect,
      Effect.timeoutOption(`${seconds + patienceSeconds} seconds`),
    )
    const took = (yield* Clock.currentTimeMillis) - startedAt
    if (Option.isNone(exit)) return `${name} has not ended within ${seconds} seconds (${took} ms)`
    const outcome = outcomeOf(exit.value)
    const expected = needs.includes(silent) ? unavailable : ["succeeds"]
    return expected.includes(outcome) || (!needs.includes(silent) && works(exit.value))
      ? undefined
      : `${name}: ${outcome} after ${took} ms`
  })

/** Without a row in it, nothing would have to be taken over. */
const predecessor = `
  CREATE SCHEMA predecessor;
  CREATE TABLE predecessor.chat_messages (
    cache_id bigint PRIMARY KEY, owner_id text, username text, channel text, message text, authored_at timestamptz
  );
  INSERT INTO predecessor.chat_messages VALUES (1, '1', 'ada', 'general', 'Good morning', now())`

/** A server each in front of the proxies that can silence them. */
const build = Effect.gen(function* () {
  const servers = { valkey: yield* ValkeyServer, postgres: yield* PostgresServer }
  const proxies = {
    valkey: yield* TcpProxy.make(Redacted.value(servers.valkey.url)),
    postgres: yield* TcpProxy.make(Redacted.value(servers.postgres.url)),
  }
  const context = yield* Layer.build(
    everything.pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          SettingsConfig.layer({
            keyPrefix: yield* uniqueKeyPrefix,
            rateLimit: { message_limit: 1_000_000, window_seconds: 60 },
          }),
          Layer.succeed(ValkeyServer, {
            url: Redacted.make(proxies.valkey.through(Redacted.value(servers.valkey.url))),
            ca: undefined,
          }),
          Layer.succeed(PostgresServer, {
            url: Redacted.make(proxies.postgres.through(Redacted.value(servers.postgres.url))),
          }),
        ),
      ),
    ),
  )
  const chat = Context.get(context, ChatCache)
  yield* eventually(
    "all is well",
    Effect.map(chat.readiness, ({ status }) => status === "ok"),
  )
  // A queue that is empty would need no PostgreSQL, and a rate limit that was never changed no Valkey.
  yield* chat.publish(draft)
  yield* chat.updateRateLimitSettings(1_000_000, 60)
  // Who follows a journal of which nothing is known yet would wait for whoever reads it, and not for PostgreSQL itself.
  yield* Stream.runHead(chat.followEvents())
  yield* query(servers.postgres.url, predecessor)
  return { proxies, context: context as unknown as Context.Context<never> }
})

describe("The table of operations", () => {
  it("has every service", () => {
    const declared = sources.flatMap((text) =>
      [...text.matchAll(/export class (\w+) extends Context\.Tag\(/g)].map((match) => match[1]),
    )
    assert.deepStrictEqual(table.map(nameOf).sort(), declared.sort())
  })

  it.live("has every operation of every service", () =>
    Effect.gen(function* () {
      const { context } = yield* build
      for (const entry of table) {
        const value = Context.unsafeGet(context, entry.tag) as object
        assert.sameMembers(Object.keys(entry.operations), Object.keys(value), nameOf(entry))
      }
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(valkeyShared, freshDatabase))),
  )
})

describe.concurrent("Every operation ends in time, and works again afterwards", () => {
  for (const silent of ["valkey", "postgres"] as const) {
    it.live(
      `when nothing comes from ${silent}`,
      () =>
        Effect.gen(function* () {
          const { context, proxies } = yield* build
          const operations = table.flatMap((entry) => operationsOf(entry, false))
          yield* proxies[silent].setMode("blackhole")
          const wrong = yield* Effect.forEach(operations, (operation) => judge(operation, context, silent), {
            concurrency: "unbounded",
          })
          assert.deepStrictEqual(
            wrong.filter((sentence) => sentence !== undefined),
            [],
          )
          yield* proxies[silent].setMode("pass")
          for (const { run, tag, service: name, name: operation } of operations) {
            yield* eventually(
              `${name}.${operation} works again`,
              Effect.map(Effect.exit(run(Context.unsafeGet(context, tag))), works),
              "45 seconds",
            )
          }
          yield* proxies[silent].setMode("blackhole")
          const last = table.flatMap((entry) => operationsOf(entry, true))
          assert.deepStrictEqual(
            (yield* Effect.forEach(last, (operation) => judge(operation, context, silent), {
              concurrency: "unbounded",
            })).filter((sentence) => sentence !== undefined),
            [],
          )
        }).pipe(Effect.scoped, Effect.provide(Layer.merge(valkeyShared, freshDatabase))),
      240_000,
    )
  }
})
