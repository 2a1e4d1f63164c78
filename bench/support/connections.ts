/** Connections for baselines, and for whatever is not timed. */
import { Effect, Redacted, Schedule, type Scope } from "effect"
import type { Redis } from "iovalkey"
import { Client } from "pg"
import * as Connection from "../../src/layers/valkey/Connection.ts"
import * as ServerUrl from "../../src/layers/valkey/ServerUrl.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"

/** The client library itself, with the options that chat-cache gives it. */
export const valkey: Effect.Effect<Redis, never, ValkeyServer | Scope.Scope> = Effect.gen(function* () {
  const { url } = yield* ValkeyServer
  const parsed = yield* ServerUrl.parse(Redacted.value(url)).pipe(
    Effect.mapError((problem) => new Error(`The URL of Valkey ${problem}`)),
    Effect.orDie,
  )
  const { client } = yield* Connection.open(parsed, Connection.defaultOptions)
  return client
})

export const postgres: Effect.Effect<Client, never, PostgresServer | Scope.Scope> = Effect.gen(function* () {
  const { url } = yield* PostgresServer
  return yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: Redacted.value(url) })
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end()),
  )
})

/** What INFO says, by name. */
export const valkeyInfo = async (client: Redis, section: string): Promise<ReadonlyMap<string, string>> =>
  new Map(
    (await client.info(section)).split("\r\n").flatMap((line) => {
      const [name, value] = line.split(":")
      return name === undefined || value === undefined ? [] : [[name, value]]
    }),
  )

/**
 * Rewrites the append-only file now, and keeps Valkey from doing so by itself. Otherwise it does when the file has
 * grown, by a process that takes a processor from whichever contestant has its turn.
 */
export const rewriteAppendOnlyFile = (client: Redis): Effect.Effect<void> =>
  Effect.promise(async () => {
    await client.config("SET", "auto-aof-rewrite-percentage", "0")
    await client.bgrewriteaof()
  }).pipe(
    Effect.zipRight(
      Effect.promise(async () => {
        const info = await valkeyInfo(client, "persistence")
        return info.get("aof_rewrite_in_progress") === "0" && info.get("aof_rewrite_scheduled") === "0"
      }).pipe(Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (isDone) => isDone })),
    ),
    Effect.asVoid,
  )
