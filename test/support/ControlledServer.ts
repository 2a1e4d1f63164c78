/** An embedded server in the hands of a test: started, stopped, killed and paused as it says. */
import { Effect, Exit, type Redacted, Ref, Scope } from "effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { EmbeddedServerError } from "../../src/domain/EmbeddedServerErrors.ts"
import type { ChildServer } from "../../src/layers/ChildServer.ts"

/** A server that the test has in its hands. Port, password and data stay the same over restarts. */
export interface ControlledServer {
  readonly url: Redacted.Redacted<string>
  readonly port: number
  /** Returns when the server answers. Nothing happens when it runs already. */
  readonly start: Effect.Effect<void>
  /** As an operator stops it, and returns when it has ended. Nothing happens when it does not run. */
  readonly stop: Effect.Effect<void>
  /** SIGKILL to all of its processes, and returns when it has ended. */
  readonly kill: Effect.Effect<void>
  /** SIGQUIT to the server, and returns when it has ended: PostgreSQL then has to recover at its next start. */
  readonly abort: Effect.Effect<void>
  /** SIGSTOP to all of its processes: connections stay open and nothing answers. */
  readonly pause: Effect.Effect<void>
  /** Undoes `pause`. */
  readonly resume: Effect.Effect<void>
}

interface Running {
  readonly server: ChildServer
  readonly scope: Scope.CloseableScope
}

const childrenOf = async (pid: number): Promise<ReadonlyArray<number>> => {
  const { stdout } = await promisify(execFile)("ps", ["-e", "-o", "pid=,ppid="])
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child, parent]) => (parent === pid && child !== undefined ? [child] : []))
}

/** The parent first, so that it does not answer the end of a child with a new one. */
const signalAll = (pid: number, signal: NodeJS.Signals): Effect.Effect<void> =>
  Effect.promise(async () => {
    process.kill(pid, "SIGSTOP")
    for (const child of await childrenOf(pid)) process.kill(child, signal)
    process.kill(pid, signal)
  })

/** Starts the server, and kills it with the scope. */
export const control = (embedded: {
  readonly url: Redacted.Redacted<string>
  readonly port: number
  readonly run: Effect.Effect<ChildServer, EmbeddedServerError, Scope.Scope>
}): Effect.Effect<ControlledServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const running = yield* Ref.make<Running | undefined>(undefined)
    const onRunning = (use: (running: Running) => Effect.Effect<void>) =>
      Effect.flatMap(Ref.get(running), (now) => (now === undefined ? Effect.void : use(now)))
    const close = ({ scope }: Running) =>
      Ref.set(running, undefined).pipe(Effect.zipRight(Scope.close(scope, Exit.void)))

    const start = Effect.gen(function* () {
      if ((yield* Ref.get(running)) !== undefined) return
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(embedded.run, scope).pipe(
        Effect.onError(() => Scope.close(scope, Exit.void)),
      )
      yield* Ref.set(running, { server, scope })
    }).pipe(Effect.orDie, Effect.uninterruptible)
    const resume = onRunning(({ server }) => signalAll(server.pid, "SIGCONT"))
    const stop = onRunning((now) => Effect.zipRight(resume, close(now)))
    const kill = onRunning((now) =>
      signalAll(now.server.pid, "SIGKILL").pipe(
        Effect.zipRight(now.server.exited),
        Effect.zipRight(close(now)),
      ),
    )
    const abort = onRunning((now) =>
      resume.pipe(
        Effect.zipRight(Effect.sync(() => process.kill(now.server.pid, "SIGQUIT"))),
        Effect.zipRight(now.server.exited),
        Effect.zipRight(close(now)),
      ),
    )
    const pause = onRunning(({ server }) => signalAll(server.pid, "SIGSTOP"))

    yield* Effect.addFinalizer(() => kill)
    yield* start
    return { url: embedded.url, port: embedded.port, start, stop, kill, abort, pause, resume }
  })
