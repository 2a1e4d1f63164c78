/**
 * A server as a child process that lives exactly as long as its scope, or less long than the daemon when the daemon is
 * killed. It stands in a session of its own, so that Ctrl-C in the terminal reaches the daemon alone, which drains its
 * queues before it stops the servers.
 */
import { Clock, Deferred, Duration, Effect, Schedule, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import * as fs from "node:fs/promises"
import * as net from "node:net"
import {
  type EmbeddedServerError,
  type EmbeddedServerName,
  ServerNotStarted,
} from "../domain/EmbeddedServerErrors.ts"
import { attempt, giveTo, type ServerDirectory, signal } from "./ServerDirectory.ts"

export interface ChildServerOptions {
  readonly server: EmbeddedServerName
  readonly directory: ServerDirectory
  readonly command: string
  readonly arguments: ReadonlyArray<string>
  /** Asks the server to end its work and its process. */
  readonly stopSignal: "SIGTERM" | "SIGINT"
  /** Looks once whether the server answers. Failing gives up, `false` looks again shortly after. */
  readonly isReady: Effect.Effect<boolean, ServerNotStarted>
}

export interface ChildServer {
  /** The server itself, and the leader of its process group. */
  readonly pid: number
  /** Completes with a sentence when the process has ended, for whatever reason. */
  readonly exited: Effect.Effect<string>
}

interface GuardedProcess extends ChildServer {
  readonly child: ChildProcess
}

const START_TIMEOUT = Duration.seconds(60)
const STOP_TIMEOUT = Duration.seconds(10)
const LOG_BYTES_MAX = 1024 * 1024
const LOG_TAIL_BYTES = 2000

/**
 * The shell becomes the server. Beside it stays a guard outside of its family, which reads from a pipe whose other end
 * the daemon holds: it comes to its end when the daemon does, even by SIGKILL, and then the guard stops the server.
 */
const GUARD = `
signal=$1; process_file=$2; shift 2
exec 3<&0 </dev/null
(
  trap "" HUP INT TERM
  (
    while read -r _ <&3; do :; done
    kill -s "$signal" $$ || exit 0
    tries=0
    while kill -0 $$ && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -s KILL $$
  ) >/dev/null 2>&1 &
)
echo $$ >"$process_file"
exec "$@" 3<&-
`

const openLog = async (directory: ServerDirectory): Promise<fs.FileHandle> => {
  const stat = await fs.stat(directory.log).catch(() => undefined)
  // A log grows slowly; one generation back is kept.
  if (stat !== undefined && stat.size > LOG_BYTES_MAX) await fs.rename(directory.log, `${directory.log}.1`)
  const log = await fs.open(directory.log, "a", 0o600)
  await giveTo(directory.account, directory.log)
  return log
}

const spawnGuarded = async (options: ChildServerOptions): Promise<GuardedProcess> => {
  const { directory } = options
  const log = await openLog(directory)
  try {
    const guarded = [
      options.stopSignal.slice(3),
      directory.processFile,
      options.command,
      ...options.arguments,
    ]
    const child = spawn("/bin/sh", ["-c", GUARD, "sh", ...guarded], {
      cwd: directory.path,
      detached: true,
      env: { PATH: process.env["PATH"] },
      stdio: ["pipe", log.fd, log.fd],
      ...directory.account,
    })
    // Listening starts before anything is awaited: a server may end at once.
    const exit = new Promise<string>((resolve) => {
      child.once("exit", (code, name) =>
        resolve(code === null ? `ended by ${name}` : `ended with code ${code}`),
      )
    })
    const pid = await new Promise<number>((resolve, reject) => {
      child.once("spawn", () => resolve(child.pid as number))
      child.once("error", reject)
    })
    // Nothing is ever written to the pipe; it breaks when the guard has gone with its server.
    child.stdin?.on("error", () => {})
    return { child, pid, exited: Effect.promise(() => exit) }
  } finally {
    await log.close()
  }
}

/** Signals only a process that still runs: its id may belong to another one afterwards. */
const stop = ({ child, exited, pid }: GuardedProcess, options: ChildServerOptions): Effect.Effect<void> =>
  Effect.sync(() => child.kill(options.stopSignal)).pipe(
    Effect.zipRight(Effect.interruptible(exited)),
    Effect.timeout(STOP_TIMEOUT),
    Effect.catchAll(() =>
      Effect.logWarning(`${options.server} did not stop in time and is killed`).pipe(
        Effect.zipRight(Effect.sync(() => signal(-pid, "SIGKILL"))),
        Effect.zipRight(exited),
      ),
    ),
    Effect.asVoid,
  )

const logTail = async (log: string, from: number): Promise<string> => {
  const text = (await fs.readFile(log)).subarray(from).toString("utf8")
  return text.slice(-LOG_TAIL_BYTES).trim()
}

const logSize = (log: string): Effect.Effect<number> =>
  Effect.promise(() =>
    fs.stat(log).then(
      ({ size }) => (size > LOG_BYTES_MAX ? 0 : size),
      () => 0,
    ),
  )

/** Fails with what the server wrote to its log when it ends instead of becoming ready. */
const awaitReady = (
  exited: Effect.Effect<string>,
  options: ChildServerOptions,
  logStart: number,
): Effect.Effect<void, ServerNotStarted> => {
  const { directory, server } = options
  const ready = options.isReady.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (isReady) => isReady }),
    Effect.asVoid,
  )
  const fail = (reason: string) =>
    attempt(server, `cannot read ${directory.log}`, () => logTail(directory.log, logStart)).pipe(
      Effect.flatMap((tail) => new ServerNotStarted({ server, reason: `${reason}\n${tail}` })),
    )
  return Effect.raceFirst(ready, Effect.flatMap(exited, fail)).pipe(
    Effect.timeoutOption(START_TIMEOUT),
    Effect.flatMap((answer) =>
      answer._tag === "Some" ? Effect.void : fail(`no answer for ${Duration.format(START_TIMEOUT)}`),
    ),
  )
}

/**
 * Starts the server and returns when it answers. Closing the scope asks it to stop, waits for at most 10 seconds, and
 * kills it after that. All waiting is in real time, since the process does not know about a clock that a test moves.
 */
export const start: (
  options: ChildServerOptions,
) => Effect.Effect<ChildServer, ServerNotStarted, Scope.Scope> = Effect.fn("ChildServer.start")(function* (
  options,
) {
  const { directory, server } = options
  const logStart = yield* logSize(directory.log)
  const child = yield* Effect.acquireRelease(
    attempt(server, `cannot run ${options.command}`, () => spawnGuarded(options)),
    (guarded) => stop(guarded, options).pipe(Effect.withClock(Clock.make())),
  )
  // Whoever loses the race in it has to be interrupted, also where the start as a whole cannot be.
  yield* Effect.interruptible(awaitReady(child.exited, options, logStart))
  yield* Effect.logDebug(`${server} answers`).pipe(Effect.annotateLogs({ pid: child.pid }))
  return child
}, Effect.withClock(Clock.make()))

/** Pauses grow up to half a minute, and are short again once the server has run for a minute. */
const restartSchedule = Schedule.exponential("200 millis").pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced("30 seconds")),
  Schedule.resetAfter("1 minute"),
)

/**
 * Keeps a server running until the scope is closed: one that ends by itself is started again.
 * Returns when the first start has succeeded, and fails when it has not.
 */
export const keepRunning = <E extends EmbeddedServerError>(
  server: EmbeddedServerName,
  run: Effect.Effect<ChildServer, E, Scope.Scope>,
): Effect.Effect<void, E, Scope.Scope> =>
  Effect.gen(function* () {
    const started = yield* Deferred.make<void, E>()
    const untilExit = run.pipe(
      Effect.tap(() => Deferred.succeed(started, undefined)),
      Effect.flatMap((child) => child.exited),
      Effect.scoped,
      Effect.flatMap((exit) => Effect.logWarning(`${server} ${exit}; it is started again`)),
    )
    yield* untilExit.pipe(
      Effect.tapErrorCause((cause) => Deferred.failCause(started, cause)),
      Effect.zipRight(
        untilExit.pipe(
          Effect.catchAll((error) => Effect.logError(error.message)),
          Effect.schedule(restartSchedule),
        ),
      ),
      Effect.interruptible,
      Effect.forkScoped,
    )
    yield* Deferred.await(started)
  })

const PORT_MIN = 15_000
const PORT_MAX = 32_000
const PORT_TRIES = 50

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    const probe = net.createServer()
    probe.once("error", () => resume(Effect.succeed(false)))
    probe.listen(port, "127.0.0.1", () => probe.close(() => resume(Effect.succeed(true))))
  })

const noPort = (server: EmbeddedServerName) =>
  new ServerNotStarted({ server, reason: "found no free port on 127.0.0.1" })

/**
 * A port on which nothing listens, below the range that systems take outgoing connections from: up there a client that
 * tries to reach a server which is down can be given the port of that server, and then talks to itself.
 */
export const freePort = (server: EmbeddedServerName): Effect.Effect<number, ServerNotStarted> =>
  Effect.sync(() => randomInt(PORT_MIN, PORT_MAX)).pipe(
    Effect.flatMap((port) =>
      Effect.if(isFree(port), { onTrue: () => Effect.succeed(port), onFalse: () => noPort(server) }),
    ),
    Effect.retry({ times: PORT_TRIES }),
  )
