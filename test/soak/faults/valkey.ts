import { Effect } from "effect"
import type { Redis } from "iovalkey"
import type { World } from "../World.ts"
import { goBackInTime, loseEverything, loseLastWrites } from "./loss.ts"
import { fault } from "./Strike.ts"

const server = "valkey"

const send =
  (command: (client: Redis) => Promise<unknown>) =>
  ({ servers }: World) =>
    Effect.asVoid(servers.onValkey(command))

const setting = (name: string, key: string, during: string, usual: string) =>
  fault({
    name,
    strikes: `valkey ${key}`,
    strike: send((client) => client.config("SET", key, during)),
    heal: send((client) => client.config("SET", key, usual)),
  })

/**
 * While a slow disk keeps `appendfsync everysec` waiting, Valkey answers what it has not written to its file yet, for up
 * to two seconds: a kill would lose it. From `always` on, everything is in the file before it is answered.
 */
const killAfterWriting = (world: World) =>
  Effect.zipRight(
    send((client) => client.config("SET", "appendfsync", "always"))(world),
    world.servers.valkey.kill,
  )

export const valkeyFaults = [
  fault({
    name: "kill-valkey",
    strikes: server,
    strike: killAfterWriting,
    heal: ({ servers }) => servers.valkey.start,
  }),
  fault({
    name: "stop-valkey",
    strikes: server,
    strike: ({ servers }) => servers.valkey.stop,
    heal: ({ servers }) => servers.valkey.start,
  }),
  fault({
    name: "pause-valkey",
    strikes: server,
    longest: 8000,
    strike: ({ servers }) => servers.valkey.pause,
    heal: ({ servers }) => servers.valkey.resume,
  }),
  setting("valkey-out-of-memory", "maxmemory", "1", "0"),
  setting("valkey-without-replicas", "min-replicas-to-write", "1", "0"),
  fault({
    name: "valkey-read-only",
    strikes: "valkey role",
    // Nobody listens on that port: a replica that finds its primary throws away its own data.
    strike: send((client) => client.replicaof("127.0.0.1", 1)),
    heal: send((client) => client.call("REPLICAOF", "NO", "ONE")),
  }),
  fault({
    name: "flush-valkey-scripts",
    strikes: "valkey scripts",
    strike: send((client) => client.script("FLUSH")),
  }),
  fault({
    name: "kill-valkey-clients",
    strikes: "valkey clients",
    strike: send((client) => client.call("CLIENT", "KILL", "TYPE", "normal")),
  }),
  fault({
    name: "kill-valkey-on-slow-disk",
    strikes: server,
    isLossy: true,
    strike: (world) => Effect.zipRight(loseLastWrites(world), world.servers.valkey.kill),
    heal: ({ servers }) => servers.valkey.start,
  }),
  fault({ name: "lose-valkey-data", strikes: server, isLossy: true, strike: loseEverything }),
  fault({ name: "fail-over-to-late-replica", strikes: server, isLossy: true, strike: goBackInTime }),
]
