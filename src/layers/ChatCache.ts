import { Chunk, type ConfigError, Duration, Effect, Layer, Metric, Option, Stream } from "effect"
import type { Entry } from "../domain/Entry.ts"
import type { UndecodableEntry, UnsafeConfiguration } from "../domain/Errors.ts"
import { DaemonStopped } from "../domain/Event.ts"
import type { QueueName } from "../domain/Message.ts"
import { newestPrivate, newestPublic, type RecentEntries, type RecentMessages } from "../domain/Recent.ts"
import type { HistoryPage } from "../domain/History.ts"
import type { CachedPrivateMessage, CachedPublicMessage } from "../domain/Message.ts"
import { Audit } from "../services/Audit.ts"
import { ChannelRecent } from "../services/ChannelRecent.ts"
import { ChatCache } from "../services/ChatCache.ts"
import { Deletion } from "../services/Deletion.ts"
import { EventJournal } from "../services/EventJournal.ts"
import { Flusher } from "../services/Flusher.ts"
import type { FlushQueue } from "../services/FlushQueue.ts"
import type { CacheHealth, StoreHealth } from "../services/Health.ts"
import { History } from "../services/History.ts"
import { Instance } from "../services/Instance.ts"
import { MessageCache } from "../services/MessageCache.ts"
import { MessageStore } from "../services/MessageStore.ts"
import { Publisher } from "../services/Publisher.ts"
import { Quarantine } from "../services/Quarantine.ts"
import { RateLimiter } from "../services/RateLimiter.ts"
import type { PostgresServer } from "../services/PostgresServer.ts"
import type { RateLimitStore } from "../services/RateLimitStore.ts"
import { Settings } from "../services/Settings.ts"
import { Status } from "../services/Status.ts"
import type { StoreSnapshot } from "../services/StoreSnapshot.ts"
import type { Postgres as PostgresTag } from "../services/Postgres.ts"
import type { Valkey as ValkeyTag } from "../services/Valkey.ts"
import type { ValkeyServer } from "../services/ValkeyServer.ts"
import * as AuditLayer from "./Audit.ts"
import * as CacheHealthValkey from "./CacheHealthValkey.ts"
import * as CacheIdCounterLayer from "./CacheIdCounter.ts"
import * as ChannelRecentLayer from "./ChannelRecent.ts"
import * as DeletionLayer from "./Deletion.ts"
import * as EventJournalPostgres from "./EventJournalPostgres.ts"
import * as FlusherLayer from "./Flusher.ts"
import * as FlusherOnDemand from "./FlusherOnDemand.ts"
import * as FlushQueueValkey from "./FlushQueueValkey.ts"
import * as HistoryLayer from "./History.ts"
import { inOwnFiber } from "./inOwnFiber.ts"
import * as InstanceLayer from "./Instance.ts"
import * as JournalFollower from "./JournalFollower.ts"
import * as JournalStateLayer from "./JournalState.ts"
import * as Maintenance from "./Maintenance.ts"
import { recentHits, recentMisses, undecodableRecentEntries } from "./Metrics.ts"
import * as MessageCacheValkey from "./MessageCacheValkey.ts"
import * as MessageStorePostgres from "./MessageStorePostgres.ts"
import * as Postgres from "./postgres/Postgres.ts"
import * as PublisherLayer from "./Publisher.ts"
import * as QuarantineLayer from "./Quarantine.ts"
import * as RateLimiterLayer from "./RateLimiter.ts"
import * as RateLimitStoreValkey from "./RateLimitStoreValkey.ts"
import { shutdownShares } from "./shutdownShares.ts"
import * as StatusLayer from "./Status.ts"
import * as StoreHealthPostgres from "./StoreHealthPostgres.ts"
import * as StoreSnapshotPostgres from "./StoreSnapshotPostgres.ts"
import * as Valkey from "./valkey/Valkey.ts"

const eventPageSize = 500

/**
 * So many entries more are read than messages are asked for. Some are not shown, and a message that was sent again is
 * told by its first place, which is rarely further back.
 */
const readBeyond = 50

const reportSkipped = (cacheName: string, skipped: ReadonlyArray<UndecodableEntry>) =>
  skipped.length === 0
    ? Effect.void
    : Effect.logWarning(`${skipped.length} entries of ${cacheName} are not messages and were passed over.`, {
        reasons: [...new Set(skipped.map(({ reason }) => reason))],
      }).pipe(Effect.zipRight(Metric.incrementBy(undecodableRecentEntries, skipped.length)))

const shown = <Message>(
  cacheName: string,
  kind: "public" | "private" | "channel",
  { messages, skipped }: RecentMessages<Message>,
) =>
  reportSkipped(cacheName, skipped).pipe(
    Effect.zipRight(Metric.increment((messages.length > 0 ? recentHits : recentMisses)[kind])),
    Effect.as(messages),
  )

/** @param drains whether the end of the scope drains the queues and journals that a daemon has stopped */
const make = Effect.fnUntraced(function* (drains: boolean) {
  const audit = yield* Audit
  const cache = yield* MessageCache
  const channelRecent = yield* ChannelRecent
  const deletion = yield* Deletion
  const flusher = yield* Flusher
  const history = yield* History
  const follower = yield* JournalFollower.make
  const instance = yield* Instance
  const journal = yield* EventJournal
  const publisher = yield* Publisher
  const quarantine = yield* Quarantine
  const rateLimiter = yield* RateLimiter
  const { maxCacheSize, shutdownTimeout } = yield* Settings
  const status = yield* Status
  const store = yield* MessageStore

  /**
   * The newest messages of a cache, without reading all of it.
   *
   * @param read reads so many of the newest entries
   */
  const recent = Effect.fnUntraced(function* <Message, E>(
    queue: QueueName,
    limit: number,
    read: (most: number) => Effect.Effect<ReadonlyArray<Entry>, E>,
    newest: (recent: RecentEntries, limit: number) => RecentMessages<Message>,
  ) {
    let most = Math.min(limit + readBeyond, maxCacheSize)
    // Both are asked for in one round trip.
    let held: RecentEntries = yield* Effect.all(
      { entries: read(most), deleted: cache.deletedIds(queue) },
      { concurrency: "unbounded" },
    )
    let found = newest(held, limit)
    while (found.messages.length < limit && held.entries.length >= most && most < maxCacheSize) {
      most = Math.min(2 * most, maxCacheSize)
      held = { ...held, entries: yield* read(most) }
      found = newest(held, limit)
    }
    return found
  })

  const shutdown = yield* Effect.cached(
    Effect.gen(function* () {
      yield* publisher.close.pipe(
        Effect.timeoutOption(Duration.times(shutdownTimeout, shutdownShares.publishers)),
      )
      const reports = yield* flusher.drain
      const stopped = new DaemonStopped({
        instance_id: instance.id,
        public_remaining: reports.public.remaining ?? null,
        private_remaining: reports.private.remaining ?? null,
      })
      yield* store
        .transaction((transaction) => transaction.journal([stopped]))
        .pipe(
          Effect.disconnect,
          Effect.timeout(Duration.times(shutdownTimeout, shutdownShares.lastEvent)),
          Effect.catchAll((error) => Effect.logWarning(`The end could not be journalled: ${error.message}`)),
        )
      yield* follower.end
      return reports
    }).pipe(inOwnFiber, Effect.withSpan("ChatCache.shutdown")),
  )
  if (drains) yield* Effect.addFinalizer(() => shutdown)

  return ChatCache.of({
    publish: (draft) => publisher.publish("public", draft),
    publishPrivate: (draft) => publisher.publish("private", draft),
    publishAll: (drafts) => publisher.publishAll("public", drafts),
    publishAllPrivate: (drafts) => publisher.publishAll("private", drafts),
    recent: Effect.fn("ChatCache.recent")(function* (limit = maxCacheSize, channel?: string) {
      const name = channel === undefined ? "recent_messages" : "a channel's cache"
      const read =
        channel === undefined ? cache.recent : (most: number) => channelRecent.entries(channel, limit, most)
      const kind = channel === undefined ? "public" : "channel"
      return yield* shown(name, kind, yield* recent("public", limit, read, newestPublic))
    }),
    recentPrivate: Effect.fn("ChatCache.recentPrivate")(function* (userId, limit = maxCacheSize) {
      const read = (most: number) => cache.recentPrivate(userId, most)
      return yield* shown("a private cache", "private", yield* recent("private", limit, read, newestPrivate))
    }),
    history: Effect.fn("ChatCache.history")(({ channel, ...query } = {}) =>
      Effect.map(
        history.page({ queue: "public", channel }, query),
        (page) => page as HistoryPage<CachedPublicMessage>,
      ),
    ),
    privateHistory: Effect.fn("ChatCache.privateHistory")((userId, query = {}) =>
      Effect.map(
        history.page({ queue: "private", userId }, query),
        (page) => page as HistoryPage<CachedPrivateMessage>,
      ),
    ),
    clearPrivate: Effect.fn("ChatCache.clearPrivate")((userId) =>
      userId === undefined ? cache.clearAllPrivate : cache.clearPrivate(userId),
    ),
    delete: (messageId) => deletion.delete("public", messageId),
    deletePrivate: (messageId) => deletion.delete("private", messageId),
    flush: Effect.all(
      { public: flusher.flush("public"), private: flusher.flush("private") },
      { concurrency: "unbounded" },
    ),
    rateLimitSettings: rateLimiter.settings,
    updateRateLimitSettings: (messageLimit, windowSeconds) =>
      rateLimiter.updateSettings({ message_limit: messageLimit, window_seconds: windowSeconds }),
    quarantine,
    isAlive: flusher.isAlive,
    status: status.report,
    readiness: status.readiness,
    audit: audit.report,
    events: (after = 0) =>
      Stream.paginateChunkEffect(after, (position) =>
        Effect.map(journal.read(position, eventPageSize), (events) => [
          Chunk.fromIterable(events),
          Option.map(
            Option.filter(Option.fromNullable(events.at(-1)), () => events.length === eventPageSize),
            (last) => last.position,
          ),
        ]),
      ),
    followEvents: (after = 0) => follower.follow(after),
    shutdown,
  })
})

/**
 * chat-cache on whatever implements its ports.
 *
 * Layers close in the reverse order of their dependencies: first the publisher, then the flusher, which drains, then
 * what both of them stand on.
 *
 * @internal
 */
export const layerWithoutDependencies: Layer.Layer<
  ChatCache,
  UnsafeConfiguration,
  | CacheHealth
  | EventJournal
  | FlushQueue
  | MessageCache
  | MessageStore
  | RateLimitStore
  | Settings
  | StoreHealth
  | StoreSnapshot
> = Layer.scoped(ChatCache, make(true)).pipe(
  Layer.provide(
    Layer.mergeAll(AuditLayer.layer, StatusLayer.layer, Maintenance.layer, ChannelRecentLayer.layer),
  ),
  Layer.provide(Layer.mergeAll(DeletionLayer.layer, PublisherLayer.layer, QuarantineLayer.layer)),
  Layer.provide(HistoryLayer.layer),
  Layer.provide(FlusherLayer.layer),
  Layer.provide(RateLimiterLayer.layer),
  Layer.provide(Layer.merge(CacheIdCounterLayer.layer, JournalStateLayer.layer)),
  Layer.provide(InstanceLayer.layer),
)

/** The ports on a Valkey and a PostgreSQL server. */
const ports = Layer.mergeAll(
  CacheHealthValkey.layer,
  FlushQueueValkey.layer,
  MessageCacheValkey.layer,
  RateLimitStoreValkey.layer,
  EventJournalPostgres.layer,
  MessageStorePostgres.layer,
  StoreHealthPostgres.layer,
  StoreSnapshotPostgres.layer,
)

/**
 * chat-cache on a Valkey and a PostgreSQL server, which need not be up yet. Building it fails with `UnsafeConfiguration`
 * where messages could be lost without an error. Closing it drains both queues, before the shutdown deadline.
 */
export const layer: Layer.Layer<
  ChatCache,
  UnsafeConfiguration | ConfigError.ConfigError,
  Settings | ValkeyServer | PostgresServer
> = layerWithoutDependencies.pipe(
  Layer.provide(ports),
  Layer.provide(Layer.merge(Valkey.layer, Postgres.layer)),
)

/**
 * The same operations for a command, on connections that are there already: nothing runs by itself, the end drains
 * nothing, and the journal tells of no daemon.
 */
export const layerOnDemand: Layer.Layer<ChatCache | CacheHealth, never, Settings | ValkeyTag | PostgresTag> =
  Layer.scoped(ChatCache, make(false)).pipe(
    Layer.provide(Layer.mergeAll(AuditLayer.layer, StatusLayer.layer, ChannelRecentLayer.layer)),
    Layer.provide(Layer.mergeAll(DeletionLayer.layer, PublisherLayer.layer, QuarantineLayer.layer)),
    Layer.provide(HistoryLayer.layer),
    Layer.provide(FlusherOnDemand.layer),
    Layer.provide(RateLimiterLayer.layer),
    Layer.provide(Layer.merge(CacheIdCounterLayer.layer, JournalStateLayer.layer)),
    Layer.provide(InstanceLayer.layer),
    Layer.provideMerge(ports),
  )
