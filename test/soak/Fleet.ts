/** The daemons of a soak run: processes that are killed, ended and started again. */
import { Duration, Effect, Exit, Layer, Scope } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import * as DaemonProcess from "../support/DaemonProcess.ts"
import { NotDone, type Servers } from "./Servers.ts"

export const daemons = 3

/** The last one is never ended before the others are, so that what it leaks has the whole run to add up. */
export const restarted = daemons - 1

const shutdownTimeout = Duration.seconds(10)
const startTimeout = Duration.minutes(1)

/** Small limits, so that each of them is met within a minute. */
const environment = {
  CHAT_CACHE_MAX_CACHE_SIZE: "100",
  CHAT_CACHE_FLUSH_INTERVAL: "2 seconds",
  CHAT_CACHE_FLUSH_BATCH_SIZE: "300",
  CHAT_CACHE_MAX_QUEUE_LENGTH: "5000",
  CHAT_CACHE_MESSAGE_LIMIT: "1000000",
  CHAT_CACHE_SHUTDOWN_TIMEOUT: `${Duration.toSeconds(shutdownTimeout)} seconds`,
}

interface Running {
  readonly process: DaemonProcess.DaemonProcess
  readonly scope: Scope.CloseableScope
}

/** What a process uses. */
export interface Usage {
  readonly openFiles: number
  readonly residentBytes: number
}

export interface Fleet {
  /** Of the daemons that run now. */
  readonly urls: () => ReadonlyArray<string>
  readonly start: (index: number) => Effect.Effect<void, NotDone>
  readonly kill: (index: number) => Effect.Effect<void>
  /** SIGTERM. Whether the end was as it should be goes into the problems. */
  readonly terminate: (index: number, mayLeaveQueued: boolean) => Effect.Effect<void>
  readonly signal: (index: number, signal: "SIGSTOP" | "SIGCONT") => Effect.Effect<void>
  /** `undefined` where the system does not tell. */
  readonly usage: (index: number) => Effect.Effect<Usage | undefined>
  readonly exitProblems: ReadonlyArray<string>
  readonly outputProblems: ReadonlyArray<string>
}

/** What no daemon ever has a reason to write. */
const alarming = /\bfault\b|unhandled|uncaught|publish call ended unexpectedly/i

const usageOf = async (pid: number): Promise<Usage | undefined> => {
  try {
    const status = await fs.readFile(`/proc/${pid}/status`, "utf8")
    const kibibytes = Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1])
    const openFiles = (await fs.readdir(`/proc/${pid}/fd`)).length
    return Number.isNaN(kibibytes) ? undefined : { openFiles, residentBytes: kibibytes * 1024 }
  } catch {
    return undefined
  }
}

const startProcess = (servers: Servers, index: number) => {
  const { valkey, postgres } = servers.seenBy(index)
  return DaemonProcess.run({ environment }).pipe(
    Effect.provide(Layer.merge(Layer.succeed(ValkeyServer, valkey), Layer.succeed(PostgresServer, postgres))),
  )
}

/** @param logDirectory where the output of every daemon goes when it has ended */
export const make = (servers: Servers, logDirectory: string): Effect.Effect<Fleet, never, Scope.Scope> =>
  Effect.gen(function* () {
    const running: Array<Running | undefined> = Array.from({ length: daemons })
    const exitProblems: Array<string> = []
    const outputProblems: Array<string> = []
    let started = 0

    const keepOutput = (name: string, output: string) =>
      Effect.promise(async () => {
        await fs.writeFile(path.join(logDirectory, `${name}.log`), output)
        for (const line of output.split("\n")) {
          if (alarming.test(line)) outputProblems.push(`${name}: ${line.slice(0, 300)}`)
        }
      })

    const start = (index: number) =>
      Effect.gen(function* () {
        if (running[index] !== undefined) return
        const name = `daemon-${index + 1}-${++started}`
        const scope = yield* Scope.make()
        const process = yield* Scope.extend(startProcess(servers, index), scope)
        // Also of one that does not come to listen.
        yield* Scope.addFinalizer(
          scope,
          Effect.flatMap(process.output, (output) => keepOutput(name, output)),
        )
        const url = yield* process.url.pipe(
          Effect.timeout(startTimeout),
          Effect.catchAllCause(() => Effect.void),
        )
        if (url === undefined) {
          yield* Scope.close(scope, Exit.void)
          exitProblems.push(`${name} did not start`)
          return yield* new NotDone({ message: `${name} did not start` })
        }
        running[index] = { process: { ...process, url }, scope }
      })

    const close = (index: number) =>
      Effect.suspend(() => {
        const now = running[index]
        running[index] = undefined
        return now === undefined ? Effect.void : Scope.close(now.scope, Exit.void)
      })

    const terminate = (index: number, mayLeaveQueued: boolean) =>
      Effect.gen(function* () {
        const now = running[index]
        if (now === undefined) return
        yield* now.process.signal("SIGTERM")
        const exit = yield* now.process.exited.pipe(
          Effect.timeoutTo({
            duration: Duration.times(shutdownTimeout, 1.5),
            onSuccess: String,
            onTimeout: () => "not at all",
          }),
        )
        const output = yield* now.process.output
        // With a server away, the deadline may pass before the queues are empty. That is said, and code 1.
        const isRight =
          exit === "0" || (mayLeaveQueued && exit === "1" && output.includes("shutdown deadline"))
        if (!isRight) exitProblems.push(`daemon ${index + 1} ended with ${exit}: ${output.slice(-300)}`)
        yield* close(index)
      })

    yield* Effect.addFinalizer(() => Effect.forEach(running, (_, index) => close(index), { discard: true }))
    return {
      urls: () => running.flatMap((now) => (now === undefined ? [] : [now.process.url])),
      start,
      kill: close,
      terminate,
      signal: (index, signal) => Effect.suspend(() => running[index]?.process.signal(signal) ?? Effect.void),
      usage: (index) =>
        Effect.promise(async () => {
          const pid = running[index]?.process.pid
          return pid === undefined ? undefined : await usageOf(pid)
        }),
      exitProblems,
      outputProblems,
    }
  })
