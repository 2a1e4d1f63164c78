/** Every operation of every service, and without which servers it fails. */
import { type Context, Effect, type Either, Stream } from "effect"
import { sql } from "slonik"
import { Audit } from "../../src/services/Audit.ts"
import { CacheIdCounter } from "../../src/services/CacheIdCounter.ts"
import { ChannelRecent } from "../../src/services/ChannelRecent.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { Deletion } from "../../src/services/Deletion.ts"
import { Doctor } from "../../src/services/Doctor.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { Flusher } from "../../src/services/Flusher.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { CacheHealth, StoreHealth } from "../../src/services/Health.ts"
import { History } from "../../src/services/History.ts"
import { Importer } from "../../src/services/Importer.ts"
import { Instance } from "../../src/services/Instance.ts"
import { JournalState } from "../../src/services/JournalState.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { Migrator } from "../../src/services/Migrator.ts"
import { Postgres } from "../../src/services/Postgres.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { Predecessor } from "../../src/services/Predecessor.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Quarantine } from "../../src/services/Quarantine.ts"
import { RateLimiter } from "../../src/services/RateLimiter.ts"
import { RateLimitStore } from "../../src/services/RateLimitStore.ts"
import { ServiceManager } from "../../src/services/ServiceManager.ts"
import { Settings } from "../../src/services/Settings.ts"
import { Status } from "../../src/services/Status.ts"
import { StoreSnapshot } from "../../src/services/StoreSnapshot.ts"
import { Valkey } from "../../src/services/Valkey.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"

export type Server = "valkey" | "postgres"

export interface TypedError {
  readonly _tag: string
}

type Run<Service> = (service: Service) => Effect.Effect<unknown, TypedError>

export interface Operation<Service> {
  readonly run: Run<Service>
  /** Without which servers it fails, or waits. */
  readonly needs: ReadonlyArray<Server>
  /**
   * It is a stream that waits for a server which it needs, for as long as that takes, and goes on when the server is
   * back. It has no deadline to keep: who waits for it has to be able to leave, within the documented time.
   */
  readonly waits?: boolean
  /** The deadline that the caller gives, where the documentation says that it ends within that. */
  readonly givenSeconds?: number
  /** Stops the service for good. */
  readonly isLast?: boolean
}

/** Something that is no operation: it does not go anywhere. */
export const data = "data"

type Operations<Service> = { readonly [Name in keyof Service]: Operation<Service> | typeof data }

export interface Entry {
  readonly tag: Context.Tag<unknown, unknown>
  readonly operations: Readonly<Record<string, Operation<unknown> | typeof data>>
}

const service = <Id, Service>(tag: Context.Tag<Id, Service>, operations: Operations<Service>): Entry =>
  ({ tag, operations }) as unknown as Entry

const needs =
  (...servers: ReadonlyArray<Server>) =>
  <Service>(run: Run<Service>): Operation<Service> => ({ run, needs: servers })
const nothing = needs()
const valkey = needs("valkey")
const postgres = needs("postgres")
const both = needs("valkey", "postgres")
const waitsForPostgres = <Service>(run: Run<Service>): Operation<Service> => ({
  ...postgres(run),
  waits: true,
})

export const draft = { owner_id: "1", username: "ada", channel: "general", message: "Hello" }
const messageId = "01900000-0000-7000-8000-000000000001"
const privateDraft = { owner_id: "1", username: "ada", recipient_id: "2", recipient: "bob", message: "Psst" }
const script = { name: "answer", text: "return 1", sha1: "e0e1f9fabfc9d4800c877a703b823ac0578ff8db" }
const importOptions = { schema: "predecessor", timeZone: "UTC", columns: {} }
const newest = { direction: "before", from: undefined } as const
const limit = { entries: 10, bytes: 1_000_000 }
const first = (outcomes: ReadonlyArray<Either.Either<unknown, TypedError>>) => outcomes[0]!

export const table: ReadonlyArray<Entry> = [
  service(Audit, { report: both(({ report }) => report) }),
  service(CacheHealth, { findings: nothing(({ findings }) => findings) }),
  service(CacheIdCounter, {
    // Without PostgreSQL, what this process has seen stands in for it.
    reseed: valkey(({ reseed }) => reseed("public")),
    observe: nothing(({ observe }) => Effect.sync(() => observe("public", 1, 1))),
  }),
  // Without PostgreSQL, what is cached has to do.
  service(ChannelRecent, { entries: valkey(({ entries }) => entries("general", 10, 10)) }),
  service(ChatCache, {
    publish: valkey(({ publish }) => publish(draft)),
    publishPrivate: valkey(({ publishPrivate }) => publishPrivate(privateDraft)),
    publishAll: valkey(({ publishAll }) => Effect.flatMap(publishAll([draft, draft]), first)),
    publishAllPrivate: valkey(({ publishAllPrivate }) =>
      Effect.flatMap(publishAllPrivate([privateDraft]), first),
    ),
    recent: valkey(({ recent }) => recent()),
    recentPrivate: valkey(({ recentPrivate }) => recentPrivate("1")),
    history: both(({ history }) => history()),
    privateHistory: both(({ privateHistory }) => privateHistory("1")),
    clearPrivate: valkey(({ clearPrivate }) => clearPrivate()),
    delete: both((chat) => chat.delete(messageId)),
    deletePrivate: both(({ deletePrivate }) => deletePrivate(messageId)),
    flush: both(({ flush }) => flush),
    rateLimitSettings: valkey(({ rateLimitSettings }) => rateLimitSettings),
    updateRateLimitSettings: both(({ updateRateLimitSettings }) => updateRateLimitSettings(1_000_000, 60)),
    quarantine: data,
    isAlive: nothing(({ isAlive }) => isAlive),
    status: nothing(({ status }) => status),
    readiness: nothing(({ readiness }) => readiness),
    audit: both(({ audit }) => audit),
    events: postgres(({ events }) => Stream.runDrain(events())),
    followEvents: waitsForPostgres(({ followEvents }) => Stream.runHead(followEvents())),
    shutdown: { ...nothing<ChatCache["Type"]>(({ shutdown }) => shutdown), isLast: true },
  }),
  service(Deletion, { delete: both((deletion) => deletion.delete("public", messageId)) }),
  // What a server does not answer is what it tells.
  service(Doctor, { examine: nothing(({ examine }) => examine) }),
  service(EventJournal, { read: postgres(({ read }) => read(0, 10)) }),
  service(Flusher, {
    flush: both(({ flush }) => flush("public")),
    notifyLength: nothing(({ notifyLength }) => notifyLength("public", 1)),
    problem: nothing(({ problem }) => problem("public")),
    isAlive: nothing(({ isAlive }) => isAlive),
    drain: { ...nothing<Flusher["Type"]>(({ drain }) => drain), isLast: true },
  }),
  service(FlushQueue, {
    head: valkey(({ head }) => head("public", limit)),
    following: valkey(({ following }) => following("public", 1, limit)),
    page: valkey(({ page }) => page("public", newest, limit)),
    acknowledge: valkey(({ acknowledge }) => acknowledge("public", [Buffer.from("not there")])),
    length: valkey(({ length }) => length("public")),
    snapshot: valkey(({ snapshot }) => snapshot("public")),
    lastCacheId: valkey(({ lastCacheId }) => lastCacheId("public")),
    raiseCounter: valkey(({ raiseCounter }) => raiseCounter("public", 0)),
    nextCacheId: valkey(({ nextCacheId }) => nextCacheId("public")),
  }),
  service(History, { page: both(({ page }) => page({ queue: "public" }, {})) }),
  service(Importer, {
    run: both(({ run }) => run({ ...importOptions, dryRun: false }, () => Effect.void)),
  }),
  service(Instance, { id: data, version: data, startedAt: data }),
  service(JournalState, {
    refresh: postgres(({ refresh }) =>
      Effect.all(
        Array.from({ length: 5 }, () => refresh),
        { concurrency: "unbounded" },
      ),
    ),
    lastKnown: nothing(({ lastKnown }) => lastKnown),
  }),
  service(MessageCache, {
    append: valkey(({ append }) => append("public", [])),
    recent: valkey(({ recent }) => recent()),
    recentOfChannel: valkey(({ recentOfChannel }) => recentOfChannel("general")),
    prependToChannel: valkey(({ prependToChannel }) => prependToChannel("empty", undefined, [])),
    recentPrivate: valkey(({ recentPrivate }) => recentPrivate("1")),
    deletedIds: valkey(({ deletedIds }) => deletedIds("public")),
    remove: valkey(({ remove }) => remove("public", messageId, [])),
    sample: valkey(({ sample }) => sample("private", 10)),
    clearPrivate: valkey(({ clearPrivate }) => clearPrivate("1")),
    clearAllPrivate: valkey(({ clearAllPrivate }) => clearAllPrivate),
  }),
  service(MessageStore, {
    transaction: postgres(({ transaction }) => transaction(({ lockQueue }) => lockQueue("public"))),
    prepareInsert: nothing(({ prepareInsert }) => prepareInsert("public", [])),
    greatestCacheId: postgres(({ greatestCacheId }) => greatestCacheId("public")),
    history: postgres(({ history }) => history({ queue: "public" }, newest, 10, [])),
    quarantineEntries: postgres(({ quarantineEntries }) => quarantineEntries({ limit: 1 })),
    quarantineEntry: postgres(({ quarantineEntry }) => quarantineEntry(1)),
  }),
  service(Migrator, {
    pending: postgres(({ pending }) => pending),
    apply: postgres(({ apply }) => apply),
  }),
  service(Postgres, {
    transaction: postgres(({ transaction }) =>
      transaction("test", ({ query }) => query(sql.unsafe`SELECT 1`)),
    ),
    read: postgres(({ read }) => read("test", sql.unsafe`SELECT 1`)),
    probe: postgres(({ probe }) => probe),
    problem: nothing(({ problem }) => problem),
  }),
  service(PostgresServer, { url: data }),
  service(Predecessor, { open: postgres(({ open }) => Effect.scoped(open(importOptions))) }),
  service(Publisher, {
    publish: valkey(({ publish }) => publish("public", draft)),
    publishAll: valkey(({ publishAll }) => Effect.flatMap(publishAll("private", [privateDraft]), first)),
    load: nothing(({ load }) => load),
    close: { ...nothing<Publisher["Type"]>(({ close }) => close), isLast: true },
  }),
  service(Quarantine, {
    list: postgres(({ list }) => list({ limit: 1 })),
    show: postgres(({ show }) => show(1)),
    replay: postgres(({ replay }) => replay(1)),
    discard: postgres(({ discard }) => discard(1)),
  }),
  service(RateLimiter, {
    settings: valkey(({ settings }) => settings),
    updateSettings: both(({ updateSettings }) =>
      updateSettings({ message_limit: 1_000_000, window_seconds: 60 }),
    ),
    restore: both(({ restore }) => restore),
  }),
  service(RateLimitStore, {
    settings: valkey(({ settings }) => settings),
    apply: valkey(({ apply }) => apply({ message_limit: 1_000_000, window_seconds: 60 }, 0)),
  }),
  service(ServiceManager, {
    ready: nothing(({ ready }) => ready),
    status: nothing(({ status }) => status("a line")),
    stopping: nothing(({ stopping }) => stopping),
    alive: nothing(({ alive }) => alive),
    watchdogTimeout: data,
  }),
  service(Settings, {
    keyPrefix: data,
    maxCacheSize: data,
    channelIdleTime: data,
    flushInterval: data,
    flushBatchSize: data,
    flushBatchBytes: data,
    maxQueueLength: data,
    rateLimit: data,
    shutdownTimeout: data,
    allowUnsafe: data,
  }),
  service(Status, {
    report: nothing(({ report }) => report),
    readiness: nothing(({ readiness }) => readiness),
  }),
  service(StoreHealth, {
    problem: nothing(({ problem }) => problem),
    findings: nothing(({ findings }) => findings),
    probe: nothing(({ probe }) => probe),
  }),
  service(StoreSnapshot, {
    read: {
      ...postgres<StoreSnapshot["Type"]>(({ read }) =>
        read(({ rowCount }) => rowCount("public"), "5 seconds"),
      ),
      givenSeconds: 5,
    },
  }),
  service(Valkey, {
    address: data,
    problem: nothing(({ problem }) => problem),
    send: valkey(({ send }) => send("test", ["ping"])),
    sendForBytes: valkey(({ sendForBytes }) => sendForBytes("test", ["ping"])),
    sendAll: valkey(({ sendAll }) => sendAll("test", [["ping"], ["ping"]])),
    run: valkey(({ run }) => run("test", script, [], [])),
    runForBytes: valkey(({ runForBytes }) => runForBytes("test", script, [], [])),
  }),
  service(ValkeyServer, { url: data, ca: data }),
]
