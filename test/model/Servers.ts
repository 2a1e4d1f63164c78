/** The two servers as the model sees them: the ports, and what can happen to the servers behind the ports. */
import { Clock, Context, Duration, Effect, Layer, Redacted, type Scope } from "effect"
import type { Redis } from "iovalkey"
import { Client } from "pg"
import type { Entry } from "../../src/domain/Entry.ts"
import type { QueueName } from "../../src/domain/Message.ts"
import * as CacheMemory from "../../src/layers/CacheMemory.ts"
import * as EventJournalPostgres from "../../src/layers/EventJournalPostgres.ts"
import * as FlushQueueValkey from "../../src/layers/FlushQueueValkey.ts"
import * as MessageCacheValkey from "../../src/layers/MessageCacheValkey.ts"
import * as MessageStoreMemory from "../../src/layers/MessageStoreMemory.ts"
import * as MessageStorePostgres from "../../src/layers/MessageStorePostgres.ts"
import * as PostgresLayer from "../../src/layers/postgres/Postgres.ts"
import * as RateLimitStoreValkey from "../../src/layers/RateLimitStoreValkey.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import * as ValkeyLayer from "../../src/layers/valkey/Valkey.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { Postgres } from "../../src/services/Postgres.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { RateLimitStore } from "../../src/services/RateLimitStore.ts"
import type { Settings } from "../../src/services/Settings.ts"
import type { Valkey } from "../../src/services/Valkey.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { settingsLayer } from "../contracts/CacheBackend.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import { freshDatabase, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"
import * as UnhurriedClock from "./unhurriedClock.ts"

export interface StoredRow {
  readonly message_id: string
  readonly cache_id: number
  readonly message: string
}

export const evictableKeys = [
  "public queue",
  "private queue",
  "public counter",
  "private counter",
  "recent",
  "rate limit",
] as const
export type EvictableKey = (typeof evictableKeys)[number]

export interface ServerControl {
  /** Puts bytes at the tail of a queue, as another program does. */
  readonly push: (queue: QueueName, entry: Entry) => Effect.Effect<void>
  /** Loses everything that Valkey holds. */
  readonly wipe: Effect.Effect<void>
  /** Copies what Valkey holds. Running the result puts the copy in its place, as a failover to a replica does. */
  readonly copy: Effect.Effect<Effect.Effect<void>>
  readonly evict: (key: EvictableKey) => Effect.Effect<void>
  /** Lets time pass for the rate limit. */
  readonly elapse: (time: Duration.DurationInput) => Effect.Effect<void>
  /** What the message table of a queue holds. */
  readonly rows: (queue: QueueName) => Effect.Effect<ReadonlyArray<StoredRow>>
  /** The ids that the store has as deleted. */
  readonly deleted: (queue: QueueName) => Effect.Effect<ReadonlyArray<string>>
}

export type Ports = MessageCache | FlushQueue | RateLimitStore | MessageStore | EventJournal

export interface Servers {
  readonly ports: Context.Context<Ports>
  readonly control: ServerControl
  readonly clock: Clock.Clock
}

/** @param Environment what is made once for many worlds */
export interface Backend<Environment> {
  readonly name: string
  readonly environment: Layer.Layer<Environment>
  /** Empty servers. */
  readonly servers: (
    settings: Partial<Settings["Type"]>,
  ) => Effect.Effect<Servers, never, Environment | Scope.Scope>
}

interface CacheState {
  readonly queues: Record<QueueName, Array<Entry>>
  readonly counters: Record<QueueName, number | undefined>
  recent: ReadonlyArray<Entry>
  rateLimit: unknown
}

/**
 * The state behind the memory layer, which keeps it to itself: wiping is the one moment at which it passes through a
 * function that can be listened to.
 */
const stateBehind = (wipe: Effect.Effect<void>): CacheState => {
  const assign = Object.assign
  let state: object | undefined
  Object.assign = (target: object, ...sources: ReadonlyArray<object>) => {
    if ("queues" in target) state = target
    return assign(target, ...sources)
  }
  try {
    Effect.runSync(wipe)
  } finally {
    Object.assign = assign
  }
  return state as CacheState
}

const evictFromMemory = (state: CacheState, key: EvictableKey): void => {
  switch (key) {
    case "public queue":
    case "private queue":
      state.queues[key === "public queue" ? "public" : "private"].length = 0
      return
    case "public counter":
    case "private counter":
      state.counters[key === "public counter" ? "public" : "private"] = undefined
      return
    case "recent":
      state.recent = []
      return
    case "rate limit":
      state.rateLimit = undefined
  }
}

export const memory: Backend<never> = {
  name: "memory",
  environment: Layer.empty,
  servers: (settings) =>
    Effect.gen(function* () {
      const cache = yield* CacheMemory.make.pipe(Effect.provide(settingsLayer(settings)))
      const store = yield* Layer.build(MessageStoreMemory.layer)
      const tables = Context.get(store, MessageStoreMemory.MemoryTables)
      const state = stateBehind(cache.wipe)
      const { clock, elapse } = UnhurriedClock.make(Date.parse("2026-03-01T12:00:00Z"))
      return {
        clock,
        ports: Context.make(MessageCache, cache.messageCache).pipe(
          Context.add(FlushQueue, cache.flushQueue),
          Context.add(RateLimitStore, cache.rateLimitStore),
          Context.merge(Context.pick(MessageStore, EventJournal)(store)),
        ),
        control: {
          push: (queue, entry) => Effect.sync(() => state.queues[queue].push(entry)),
          wipe: cache.wipe,
          copy: Effect.sync(() => {
            const copied = structuredClone(state)
            return Effect.sync(() => {
              Object.assign(state, structuredClone(copied))
            })
          }),
          evict: (key) => Effect.sync(() => evictFromMemory(state, key)),
          elapse,
          rows: tables.messages,
          deleted: tables.deleted,
        },
      }
    }),
}

/** Connections of the test's own. */
class RawClients extends Context.Tag("chat-cache/test/RawClients")<
  RawClients,
  { readonly valkey: Redis; readonly postgres: Client }
>() {}

const rawClients = Layer.scoped(
  RawClients,
  Effect.gen(function* () {
    const valkey = yield* rawClient((yield* ValkeyServer).url)
    const { url } = yield* PostgresServer
    const postgres = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Client({ connectionString: Redacted.value(url) })
        client.on("error", () => {})
        await client.connect()
        return client
      }),
      (client) => Effect.promise(() => client.end()),
    )
    return { valkey, postgres }
  }),
)

const tableOf = { public: "chat_messages", private: "private_messages" } as const

const keyOf = (keys: Keys.Keys, key: EvictableKey): string =>
  ({
    "public queue": keys.flushQueue.public,
    "private queue": keys.flushQueue.private,
    "public counter": keys.counter.public,
    "private counter": keys.counter.private,
    recent: keys.recent,
    "rate limit": keys.rateLimitSettings,
  })[key]

const controlServers = ({ valkey, postgres }: typeof RawClients.Service, prefix: string): ServerControl => {
  const keys = Keys.make(prefix)
  let elapsedMillis = 0

  /** The server is shared and has few keys of others, so that one step of SCAN after the other is quick. */
  const keysLike = async (pattern: string): Promise<ReadonlyArray<string>> => {
    const found = new Set<string>()
    let cursor = "0"
    do {
      const [next, page] = await valkey.scan(cursor, "MATCH", pattern, "COUNT", 1000)
      for (const key of page) found.add(key)
      cursor = next
    } while (cursor !== "0")
    return [...found]
  }

  const wipe = async (): Promise<void> => {
    const found = await keysLike(`${prefix}*`)
    if (found.length > 0) await valkey.del(...found)
  }

  const copy = async () => {
    const copiedAt = elapsedMillis
    const dumps = await Promise.all(
      (await keysLike(`${prefix}*`)).map(async (key) => ({
        key,
        bytes: (await valkey.callBuffer("DUMP", key)) as Buffer,
        timeToLive: await valkey.pttl(key),
      })),
    )
    return async () => {
      await wipe()
      for (const { key, bytes, timeToLive } of dumps) {
        const left = timeToLive < 0 ? 0 : timeToLive - (elapsedMillis - copiedAt)
        if (timeToLive < 0 || left > 0) await valkey.call("RESTORE", key, left, bytes)
      }
    }
  }

  const elapse = async (millis: number): Promise<void> => {
    elapsedMillis += millis
    for (const key of await keysLike(keys.everyRateLimit)) {
      const left = await valkey.pttl(key)
      if (left > 0) await valkey.pexpire(key, left - millis)
    }
  }

  return {
    push: (queue, entry) => Effect.promise(() => valkey.rpush(keys.flushQueue[queue], Buffer.from(entry))),
    wipe: Effect.promise(wipe),
    copy: Effect.map(Effect.promise(copy), (restore) => Effect.promise(restore)),
    evict: (key) => Effect.promise(() => valkey.del(keyOf(keys, key))),
    elapse: (time) => Effect.promise(() => elapse(Duration.toMillis(time))),
    rows: (queue) =>
      Effect.promise(async () => {
        const { rows } = await postgres.query(
          `SELECT message_id, cache_id, message FROM ${tableOf[queue]} ORDER BY id`,
        )
        return rows.map((row) => ({ ...row, cache_id: Number(row.cache_id) }) as StoredRow)
      }),
    deleted: (queue) =>
      Effect.promise(async () => {
        const { rows } = await postgres.query("SELECT message_id FROM deleted_messages WHERE queue = $1", [
          queue,
        ])
        return rows.map(({ message_id }) => message_id as string)
      }),
  }
}

/** Superusers may switch the triggers off that protect the journal. */
const emptyTables = `
  SET session_replication_role = replica;
  TRUNCATE chat_messages, private_messages, quarantined_messages, deleted_messages, events RESTART IDENTITY;
  RESET session_replication_role`

export const valkeyAndPostgres: Backend<Valkey | Postgres | PostgresServer | ValkeyServer | RawClients> = {
  name: "Valkey and PostgreSQL",
  environment: Layer.mergeAll(
    Layer.orDie(ValkeyLayer.layer),
    // A flusher that is stopped keeps its locks, and whoever meets them should find out soon.
    PostgresLayer.layerWith({ lockTimeout: "20 millis" }),
    rawClients,
  ).pipe(Layer.provideMerge(Layer.merge(valkeyShared, freshDatabase))),
  servers: (settings) =>
    Effect.gen(function* () {
      const keyPrefix = yield* uniqueKeyPrefix
      const clients = yield* RawClients
      yield* Effect.orDie((yield* Postgres).probe)
      yield* Effect.promise(() => clients.postgres.query(emptyTables))
      const control = controlServers(clients, keyPrefix)
      yield* Effect.addFinalizer(() => control.wipe)
      const ports = yield* Layer.build(
        Layer.mergeAll(
          MessageCacheValkey.layer,
          FlushQueueValkey.layer,
          RateLimitStoreValkey.layer,
          MessageStorePostgres.layer,
          EventJournalPostgres.layer,
        ).pipe(Layer.provide(settingsLayer({ ...settings, keyPrefix }))),
      )
      return { ports, control, clock: Clock.make() }
    }),
}
