import { Effect, Redacted, type Scope } from "effect"
import type { Redis } from "iovalkey"
import { readdirSync, readFileSync } from "node:fs"
import * as Script from "../../src/layers/valkey/Script.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import { ControlledValkey } from "../support/Servers.ts"

const directory = new URL("../../lua/", import.meta.url)

/** Names of the scripts, without extension. */
export const scriptNames: ReadonlyArray<string> = readdirSync(directory)
  .filter((file) => file.endsWith(".lua"))
  .map((file) => file.slice(0, -".lua".length))

export const scriptText = (name: string): string => readFileSync(new URL(`${name}.lua`, directory), "utf8")

export interface Scripting {
  /** Sees and does everything. */
  readonly admin: Redis
  /**
   * Runs a script as a user who may touch the keys that are passed, and no other: a key that is not declared fails.
   * An error reply becomes its text.
   */
  readonly run: (
    name: string,
    keys: ReadonlyArray<string>,
    args?: ReadonlyArray<string | number>,
  ) => Effect.Effect<unknown>
  /** Everything that the server holds, byte for byte. */
  readonly contents: Effect.Effect<Readonly<Record<string, string>>>
}

/** An empty server and the means to run scripts on it. */
export const scripting: Effect.Effect<Scripting, never, ControlledValkey | Scope.Scope> = Effect.gen(
  function* () {
    const server = yield* ControlledValkey
    const admin = yield* rawClient(server.url)
    yield* Effect.promise(() => admin.flushall())
    yield* Effect.promise(() => admin.acl("SETUSER", "script", "reset", "on", ">script", "+@all"))
    const url = new URL(Redacted.value(server.url))
    url.username = "script"
    url.password = "script"
    const restricted = yield* rawClient(Redacted.make(url.href))

    const run: Scripting["run"] = (name, keys, args = []) =>
      Effect.flatMap(Script.load(name), ({ text }) =>
        Effect.promise(async () => {
          await admin.acl("SETUSER", "script", "resetkeys", ...keys.map((key) => `~${key}`))
          return restricted.eval(text, keys.length, ...keys, ...args).catch((error: Error) => error.message)
        }),
      )

    const contents = Effect.promise(async () => {
      const held: Record<string, string> = {}
      for (const key of (await admin.keys("*")).sort()) {
        const bytes = await admin.dumpBuffer(key)
        held[key] = `${bytes.toString("base64")} ${(await admin.pttl(key)) < 0 ? "lasting" : "passing"}`
      }
      return held
    })

    return { admin, run, contents }
  },
)
