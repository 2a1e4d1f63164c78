import { Effect } from "effect"
import * as os from "node:os"
import { version } from "../../src/layers/version.ts"
import * as connections from "./connections.ts"

/** What figures depend on besides the program. Written to JSON as it is. */
export interface Environment {
  readonly machine: {
    readonly cores: number
    readonly processor: string
    readonly memoryGiB: number
    readonly system: string
    /** Over one minute. Above 0 before: something else was running. */
    readonly loadAverageBefore: number
    readonly loadAverageAfter: number
  }
  readonly versions: Readonly<Record<string, string>>
  /** Of the servers. */
  readonly settings: Readonly<Record<string, string>>
}

const valkeySettings = ["appendonly", "appendfsync", "maxmemory-policy"]
const postgresSettings = ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers"]

const loadAverage = (): number => Math.round(os.loadavg()[0]! * 100) / 100

const ofServers = Effect.gen(function* () {
  const valkey = yield* connections.valkey
  const postgres = yield* connections.postgres
  return yield* Effect.promise(async () => {
    const info = await connections.valkeyInfo(valkey, "server")
    const settings: Record<string, string> = {}
    for (const name of valkeySettings) {
      const [, value] = (await valkey.config("GET", name)) as [string, string]
      settings[name] = value
    }
    for (const name of [...postgresSettings, "server_version"]) {
      const { rows } = await postgres.query<Record<string, string>>(`SHOW ${name}`)
      settings[name] = rows[0]![name]!
    }
    const { server_version, ...others } = settings
    return {
      valkey: info.get("valkey_version") ?? `redis ${info.get("redis_version")}`,
      postgresql: server_version!,
      settings: others,
    }
  })
}).pipe(Effect.scoped)

/** Looks now, and returns what says how it was when it is called at the end. */
export const observe = Effect.map(ofServers, ({ valkey, postgresql, settings }) => {
  const loadAverageBefore = loadAverage()
  return (): Environment => ({
    machine: {
      cores: os.availableParallelism(),
      processor: os.cpus()[0]?.model.trim() ?? "unknown",
      memoryGiB: Math.round(os.totalmem() / 2 ** 30),
      // What follows the number names whose build it is, and nothing that matters to a figure.
      system: `${os.type()} ${os.release().replace(/-.*/, "")} ${os.arch()}`,
      loadAverageBefore,
      loadAverageAfter: loadAverage(),
    },
    versions: { "chat-cache": version, node: process.versions.node, valkey, postgresql },
    settings,
  })
})
