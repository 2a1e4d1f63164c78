/** A program that listens for HTTP, as a process of its own on the servers of the benchmark. */
import { Effect, Redacted, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { unlimited } from "./publisher.ts"
import type { Servers } from "./Question.ts"

export interface DaemonProcess {
  readonly url: string
  readonly pid: number
  /** From spawning it until it said where it listens. */
  readonly startMillis: number
  /** Asks it to end, and waits until it has. */
  readonly end: () => Promise<void>
}

const project = fileURLToPath(new URL("../../", import.meta.url))

export const daemon = "src/main.ts"

const listening = /listens on (http:\/\/\S+)/

interface Spawned {
  readonly child: ChildProcess
  readonly listens: Promise<{ readonly url: string; readonly startMillis: number }>
  readonly exited: Promise<void>
}

const spawnProgram = (entry: string, environment: Record<string, string>): Spawned => {
  const start = performance.now()
  const child = spawn(process.execPath, [entry], {
    cwd: project,
    env: { PATH: process.env["PATH"], ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  })
  // Only until it listens: what it says afterwards is read and forgotten, so that it is never held up.
  let output = ""
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const listens = new Promise<{ readonly url: string; readonly startMillis: number }>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        if (output.length > 100_000) return
        output += text
        const url = listening.exec(output)?.[1]
        if (url !== undefined) resolve({ url, startMillis: performance.now() - start })
      })
    }
    child.once("error", reject)
    void exited.then(() => reject(new Error(`${entry} ended before it listened:\n${output}`)))
  })
  return { child, listens, exited }
}

/** Starts it, and returns when it listens. Killed with the scope: what is queued then is nobody's concern any more. */
export const start = (
  keyPrefix: string,
  entry: string = daemon,
  environment: Record<string, string> = {},
): Effect.Effect<DaemonProcess, never, Servers | Scope.Scope> =>
  Effect.gen(function* () {
    const valkey = yield* ValkeyServer
    const postgres = yield* PostgresServer
    const { child, listens, exited } = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawnProgram(entry, {
          VALKEY_URL: Redacted.value(valkey.url),
          DATABASE_URL: Redacted.value(postgres.url),
          CHAT_CACHE_HOST: "127.0.0.1",
          CHAT_CACHE_PORT: "0",
          CHAT_CACHE_KEY_PREFIX: keyPrefix,
          CHAT_CACHE_MESSAGE_LIMIT: String(unlimited.message_limit),
          CHAT_CACHE_WINDOW_SECONDS: String(unlimited.window_seconds),
          ...environment,
        }),
      ),
      (spawned) =>
        Effect.promise(async () => {
          spawned.child.kill("SIGKILL")
          await spawned.exited
          await spawned.listens.catch(() => {})
        }),
    )
    const end = () => {
      child.kill("SIGTERM")
      return exited
    }
    return { ...(yield* Effect.promise(() => listens)), pid: child.pid!, end }
  })

/** Settings with which the daemon flushes nothing by itself. */
export const withoutFlushing: Record<string, string> = {
  CHAT_CACHE_MAX_CACHE_SIZE: "1000000",
  CHAT_CACHE_FLUSH_INTERVAL: "1 day",
}
