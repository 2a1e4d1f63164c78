/** Both ways in which a command reaches chat-cache: on the servers itself, and by way of a daemon. */
import { it } from "@effect/vitest"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { Redis } from "iovalkey"
import type { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import * as CommandLine from "../support/CommandLine.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { freshDatabase, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

export const servers = Layer.merge(valkeyShared, freshDatabase)

type Servers = ValkeyServer | PostgresServer

export interface World {
  readonly keyPrefix: string
  /** Runs `chat-cache` with these arguments. */
  readonly run: (
    args: ReadonlyArray<string>,
    options?: CommandLine.Options,
  ) => Effect.Effect<CommandLine.Outcome>
  /** On one connection to Valkey. */
  readonly valkey: <A>(use: (client: Redis) => Promise<A>) => Effect.Effect<A>
}

/** No flush unless somebody asks for one, and no limit that a test did not ask for. */
const settings = { CHAT_CACHE_MESSAGE_LIMIT: "1000", CHAT_CACHE_FLUSH_INTERVAL: "1 hour" }

const direct: Effect.Effect<World, never, Scope.Scope | Servers> = Effect.gen(function* () {
  const keyPrefix = yield* uniqueKeyPrefix
  const server = yield* ValkeyServer
  const environment = {
    ...settings,
    ...(yield* CommandLine.serverEnvironment),
    CHAT_CACHE_KEY_PREFIX: keyPrefix,
  }
  return {
    keyPrefix,
    run: (args, options = {}) =>
      CommandLine.chatCache(args, { ...options, environment: { ...environment, ...options.environment } }),
    valkey: (use) =>
      Effect.promise(async () => {
        const client = new Redis(Redacted.value(server.url))
        client.on("error", () => {})
        try {
          return await use(client)
        } finally {
          client.disconnect()
        }
      }),
  }
})

/** The tables are made by hand, as an operator would. */
export const onServers: Effect.Effect<World, never, Scope.Scope | Servers> = Effect.tap(direct, ({ run }) =>
  run(["migrate"]),
)

const secret = "token-of-the-test"

/** The same with a daemon that asks for a token, and commands that know nothing but its address. */
export const byDaemon: Effect.Effect<World, never, Scope.Scope | Servers> = Effect.gen(function* () {
  const world = yield* direct
  const { url } = yield* Daemon.start({
    environment: { ...settings, CHAT_CACHE_KEY_PREFIX: world.keyPrefix, CHAT_CACHE_API_TOKEN: secret },
  })
  return {
    ...world,
    run: (args, options = {}) =>
      CommandLine.chatCache([...args, "--url", url], {
        ...options,
        environment: { CHAT_CACHE_API_TOKEN: secret, ...options.environment },
      }),
  }
})

/** Processes take their time to start where many others run. */
const timeout = 240_000

/** A test on the servers. */
export const onServersIt = (
  name: string,
  test: (world: World) => Effect.Effect<void, never, Scope.Scope | Servers>,
): void => {
  it.scopedLive(name, () => onServers.pipe(Effect.flatMap(test), Effect.provide(servers)), timeout)
}

/** One test for each of the two ways: they answer alike. */
export const bothWays = (
  name: string,
  test: (world: World) => Effect.Effect<void, never, Scope.Scope | Servers>,
): void => {
  onServersIt(`${name}, on the servers`, test)
  it.scopedLive(
    `${name}, by way of a daemon`,
    () => byDaemon.pipe(Effect.flatMap(test), Effect.provide(servers)),
    timeout,
  )
}
