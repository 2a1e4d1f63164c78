/** The server on a port of its own, in front of the real chat-cache over ports in memory that fail on demand. */
import { it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Logger, LogLevel, Option, Redacted, Ref } from "effect"
import type { CacheUnavailable, StoreError } from "../../src/domain/Errors.ts"
import * as Server from "../../src/http/Server.ts"
import * as CacheMemory from "../../src/layers/CacheMemory.ts"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as MessageStoreMemory from "../../src/layers/MessageStoreMemory.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import type { ChatCache } from "../../src/services/ChatCache.ts"
import { CacheHealth, StoreHealth } from "../../src/services/Health.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import type { Settings } from "../../src/services/Settings.ts"
import * as FaultyStore from "../support/FaultyStore.ts"

/** What happens first in each operation of the cache, and in each read of the store: nothing, unless a test sets it. */
export class Faults extends Context.Tag("chat-cache/test/Faults")<
  Faults,
  {
    readonly cache: Ref.Ref<Effect.Effect<void, CacheUnavailable>>
    readonly reads: Ref.Ref<Effect.Effect<void, StoreError>>
  }
>() {}

const after =
  <F>(fault: Ref.Ref<Effect.Effect<void, F>>) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | F> =>
    Effect.zipRight(Effect.flatten(Ref.get(fault)), effect)

const faulty = Layer.effectContext(
  Effect.gen(function* () {
    const cache = yield* MessageCache
    const store = yield* MessageStore
    const faults = Faults.of({
      cache: yield* Ref.make<Effect.Effect<void, CacheUnavailable>>(Effect.void),
      reads: yield* Ref.make<Effect.Effect<void, StoreError>>(Effect.void),
    })
    const orFault = after(faults.cache)
    return Context.make(Faults, faults).pipe(
      Context.add(MessageCache, {
        append: (queue, publications) => orFault(cache.append(queue, publications)),
        recent: (most) => orFault(cache.recent(most)),
        recentOfChannel: (channel, most) => orFault(cache.recentOfChannel(channel, most)),
        prependToChannel: (channel, first, older) => orFault(cache.prependToChannel(channel, first, older)),
        recentPrivate: (userId, most) => orFault(cache.recentPrivate(userId, most)),
        deletedIds: (queue) => orFault(cache.deletedIds(queue)),
        remove: (queue, messageId, userIds) => orFault(cache.remove(queue, messageId, userIds)),
        sample: (queue, limit) => orFault(cache.sample(queue, limit)),
        clearPrivate: (userId) => orFault(cache.clearPrivate(userId)),
        clearAllPrivate: orFault(cache.clearAllPrivate),
      }),
      Context.add(MessageStore, {
        ...store,
        history: (...range) => after(faults.reads)(store.history(...range)),
        quarantineEntries: (filter) => after(faults.reads)(store.quarantineEntries(filter)),
        quarantineEntry: (id) => after(faults.reads)(store.quarantineEntry(id)),
      }),
    )
  }),
)

const store = FaultyStore.layer.pipe(Layer.provideMerge(MessageStoreMemory.layer))

const healthy = Layer.merge(
  Layer.succeed(CacheHealth, { findings: Effect.succeed([]) }),
  Layer.succeed(StoreHealth, {
    problem: Effect.void as Effect.Effect<undefined>,
    findings: Effect.succeed([]),
    probe: Effect.void,
  }),
)

/** Every line that was logged. */
export class Log extends Context.Tag("chat-cache/test/Log")<Log, Array<string>>() {}

const lines: Array<string> = []
const logged = Layer.unwrapEffect(
  Effect.sync(() => {
    lines.length = 0
    return Layer.merge(
      Layer.succeed(Log, lines),
      Logger.replace(
        Logger.defaultLogger,
        Logger.map(Logger.structuredLogger, (entry) => lines.push(JSON.stringify(entry))),
      ),
    )
  }),
)

type Options = Partial<Server.ServerOptions> & {
  readonly settings?: Partial<Settings["Type"]>
  readonly minimumLogLevel?: LogLevel.LogLevel
  /** How long the test may take, in milliseconds. */
  readonly timeout?: number
}

/** Where the server under test listens. */
export class Target extends Context.Tag("chat-cache/test/Target")<
  Target,
  { readonly port: number; readonly url: string }
>() {}

const unlimited = { message_limit: 1_000_000, window_seconds: 60 }

type Ports = ChatCache | MessageStore | Faults | FaultyStore.StoreFaults

const chatCache = (settings: Partial<Settings["Type"]>): Layer.Layer<Ports> =>
  ChatCacheLayer.layerWithoutDependencies.pipe(
    Layer.provideMerge(faulty),
    Layer.provideMerge(Layer.merge(store, CacheMemory.layer)),
    Layer.provide(healthy),
    Layer.provide(
      SettingsConfig.layer({ rateLimit: unlimited, shutdownTimeout: Duration.millis(200), ...settings }),
    ),
    Layer.orDie,
  )

export const serverOptions: Server.ServerOptions = { host: "127.0.0.1", port: 0, apiToken: Option.none() }

/** The server and everything behind it. */
export const server = ({
  settings = {},
  minimumLogLevel = LogLevel.Info,
  timeout: _timeout,
  ...options
}: Options = {}): Layer.Layer<Target | Ports | Log> =>
  Layer.effect(
    Target,
    Effect.map(Server.url, (url) => ({ url, port: Number(new URL(url).port) })),
  ).pipe(
    Layer.provide(Server.layer({ ...serverOptions, ...options })),
    Layer.orDie,
    Layer.provideMerge(chatCache(settings)),
    Layer.provideMerge(logged),
    Layer.provide(Logger.minimumLogLevel(minimumLogLevel)),
  )

/** A test with a server of its own. */
export const test = <E>(
  title: string,
  body: Effect.Effect<void, E, Target | Ports | Log>,
  options?: Options,
): void => it.live(title, () => Effect.provide(body, server(options)), options?.timeout)

export const token = (secret: string) => ({ apiToken: Option.some(Redacted.make(secret)) })

export const publicDraft = (changes: Readonly<Record<string, unknown>> = {}) => ({
  owner_id: "1",
  username: "ada",
  channel: "general",
  message: "Hello",
  ...changes,
})

export const privateDraft = (changes: Readonly<Record<string, unknown>> = {}) => ({
  owner_id: "1",
  username: "ada",
  recipient_id: "2",
  recipient: "bob",
  message: "Hello",
  ...changes,
})
