/** The daemon as a process of its own, on servers of the test. */
import { Effect, Redacted, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { eventually } from "./eventually.ts"

export interface DaemonProcess {
  /** Such as `http://127.0.0.1:43210`. */
  readonly url: string
  readonly pid: number
  /** Sends the signal and goes on. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** The exit code, or the signal that ended the process. */
  readonly exited: Effect.Effect<number | NodeJS.Signals>
  /** The same, or `undefined` while it runs. Never waits. */
  readonly ended: Effect.Effect<number | NodeJS.Signals | undefined>
  /** Everything that it has written to standard output and standard error. */
  readonly output: Effect.Effect<string>
}

interface Options {
  /** Added to the environment; `undefined` takes out of it. */
  readonly environment?: Record<string, string | undefined>
  /** The module that is run, relative to the project. */
  readonly entry?: string
}

const project = fileURLToPath(new URL("../../", import.meta.url))

const listening = /listens on (http:\/\/\S+)/

const spawnDaemon = (environment: Record<string, string | undefined>, entry: string) => {
  const child = spawn(process.execPath, [entry], {
    cwd: project,
    env: { PATH: process.env["PATH"], CHAT_CACHE_PORT: "0", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const output: Array<string> = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8")
    stream.on("data", (text: string) => output.push(text))
  }
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? 0))
  })
  return { child, output, exited }
}

const awaitUrl = (child: ChildProcess, output: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    child.stdout?.on("data", () => {
      const match = listening.exec(output.join(""))
      if (match !== null) resolve(match[1] as string)
    })
    child.once("close", () => reject(new Error(`the daemon ended before it listened:\n${output.join("")}`)))
  })

/** Starts it without waiting for it to listen, for a start that is expected to fail. Killed with the scope. */
export const run: (
  options?: Options,
) => Effect.Effect<
  Omit<DaemonProcess, "url"> & { readonly url: Effect.Effect<string> },
  never,
  Scope.Scope | ValkeyServer | PostgresServer
> = Effect.fnUntraced(function* ({ environment = {}, entry = "src/main.ts" }: Options = {}) {
  const valkey = yield* ValkeyServer
  const postgres = yield* PostgresServer
  const { child, output, exited } = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawnDaemon(
        {
          VALKEY_URL: Redacted.value(valkey.url),
          DATABASE_URL: Redacted.value(postgres.url),
          ...environment,
        },
        entry,
      ),
    ),
    (spawned) =>
      Effect.promise(() => {
        spawned.child.kill("SIGKILL")
        return spawned.exited
      }),
  )
  const url = awaitUrl(child, output)
  // Whoever does not wait for the address does not mind that there is none.
  url.catch(() => {})
  return {
    pid: child.pid as number,
    signal: (signal: NodeJS.Signals) => Effect.sync(() => void child.kill(signal)),
    exited: Effect.promise(() => exited),
    ended: Effect.sync(() => child.exitCode ?? child.signalCode ?? undefined),
    output: Effect.sync(() => output.join("")),
    url: Effect.promise(() => url),
  }
})

/** Starts it and returns when it listens. */
export const start = (options?: Options) =>
  Effect.flatMap(run(options), (daemon) =>
    Effect.map(daemon.url, (url): DaemonProcess => ({ ...daemon, url })),
  )

export interface Answer {
  readonly status: number
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever the daemon answers, for the assertions to look at
  readonly body: any
  readonly headers: Headers
}

const fetchJson = async (method: string, url: string, body: unknown): Promise<Answer> => {
  try {
    const content =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }
    const response = await fetch(url, { method, ...content })
    const text = await response.text()
    return {
      status: response.status,
      body: text === "" ? undefined : JSON.parse(text),
      headers: response.headers,
    }
  } catch {
    return { status: 0, body: undefined, headers: new Headers() }
  }
}

/** Status 0 stands for a connection that failed. */
export const request = (
  method: "GET" | "POST" | "PUT" | "DELETE",
  url: string,
  body?: unknown,
): Effect.Effect<Answer> => Effect.promise(() => fetchJson(method, url, body))

/** Starts it and returns when messages can be taken and it has been to PostgreSQL: its tables are there. */
export const startReady = (options?: Options) =>
  Effect.tap(start(options), ({ url }) =>
    eventually(
      "the daemon is ready and has journalled its start",
      Effect.map(
        request("GET", `${url}/status`),
        ({ body }) => body?.status !== "unavailable" && body?.journal_position > 0,
      ),
    ),
  )

/** Waits until the daemon has been stopped by SIGSTOP, its own or somebody else's. */
export const stopped = ({ pid }: DaemonProcess) =>
  eventually(
    "the daemon stands still",
    Effect.promise(async () => /^\d+ \(.*\) T /.test(await fs.readFile(`/proc/${pid}/stat`, "utf8"))),
  )
