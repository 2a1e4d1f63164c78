import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as PlatformLogger from "@effect/platform/PlatformLogger"
import {
  Clock,
  Context,
  Effect,
  ExecutionStrategy,
  Exit,
  Fiber,
  Layer,
  Logger,
  Schedule,
  Scope,
} from "effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import * as DaemonProcess from "../support/DaemonProcess.ts"
import * as Books from "./books.ts"
import * as Clients from "./clients.ts"
import { users } from "./faults/network.ts"
import type { Fault } from "./faults/Strike.ts"
import { look } from "./findings.ts"
import * as Fleet from "./Fleet.ts"
import * as Nemesis from "./nemesis.ts"
import type { Options } from "./Options.ts"
import * as Progress from "./Progress.ts"
import { schedule } from "./schedule.ts"
import * as Servers from "./Servers.ts"
import * as Watch from "./Watch.ts"
import type { World } from "./World.ts"

export interface Result {
  readonly checks: ReadonlyArray<Books.Check>
  readonly load: Clients.Load
  readonly record: Nemesis.Record
  readonly watch: Watch.Watch
  readonly findings: Books.Findings
  readonly claims: ReadonlyMap<string, Books.Claim>
}

export interface Directories {
  readonly data: string
  readonly logs: string
}

/** Removes the data with the scope. Who wants to keep the logs calls `keepLogs`. */
export const makeDirectories = Effect.gen(function* () {
  const base = yield* Effect.promise(async () => {
    const made = await fs.mkdtemp(path.join(os.tmpdir(), "chat-cache-soak-"))
    // The account that PostgreSQL runs as for root has to get through.
    await fs.chmod(made, 0o755)
    return made
  })
  const directories: Directories = { data: path.join(base, "data"), logs: path.join(base, "logs") }
  let keepsLogs = false
  yield* Effect.addFinalizer(() => remove(keepsLogs ? directories.data : base))
  yield* Effect.promise(() => Promise.all([fs.mkdir(directories.data), fs.mkdir(directories.logs)]))
  return { ...directories, keepLogs: Effect.sync(() => (keepsLogs = true)) }
})

const remove = (directory: string) =>
  Effect.promise(() => fs.rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }))

/** An application with chat-cache in it, which is this process. */
const application = (servers: Servers.Servers) => {
  const { valkey, postgres } = servers.seenBy(Fleet.daemons)
  return Effect.map(
    Layer.build(
      ChatCacheLayer.layer.pipe(
        Layer.provide(
          Layer.mergeAll(
            SettingsConfig.layer({
              maxCacheSize: 100,
              maxQueueLength: 5000,
              flushBatchSize: 300,
              rateLimit: { message_limit: 1_000_000, window_seconds: 60 },
            }),
            Layer.succeed(ValkeyServer, valkey),
            Layer.succeed(PostgresServer, postgres),
          ),
        ),
      ),
    ),
    (built) => Context.get(built, ChatCache),
  )
}

const makeWorld = ({ data, logs }: Directories) =>
  Effect.gen(function* () {
    const directories: Array<string> = []
    yield* Effect.addFinalizer(() => Effect.forEach(directories, remove))
    const servers = yield* Servers.make(data, users)
    directories.push(...servers.directories)
    const fleet = yield* Fleet.make(servers, logs)
    yield* Effect.forEach(Array.from({ length: Fleet.daemons }).keys(), fleet.start, {
      concurrency: "unbounded",
    })
    const applicationScope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const chatCache = yield* Scope.extend(application(servers), applicationScope)
    const world: World = { servers, fleet, chatCache, books: Books.open(), held: new Map() }
    return { world, closeApplication: Scope.close(applicationScope, Exit.void) }
  })

/** Waits until both queues are empty, and asks every daemon to flush meanwhile. */
const drain = (world: World) =>
  Effect.gen(function* () {
    yield* Effect.forEach(world.fleet.urls(), (url) => DaemonProcess.request("POST", `${url}/flush`), {
      concurrency: "unbounded",
    })
    return yield* Watch.queueLength(world.servers)
  }).pipe(
    Effect.repeat({ until: (length) => length === 0, schedule: Schedule.spaced("200 millis") }),
    Effect.disconnect,
    Effect.timeout("3 minutes"),
    Effect.option,
  )

/** A daemon takes a moment to find out that a server is back. */
const checkReadiness = (world: World) =>
  Effect.forEach(world.fleet.urls(), (url) => DaemonProcess.request("GET", `${url}/health/ready`)).pipe(
    Effect.map((answers): Books.Check => ({
      name: `all ${Fleet.daemons} daemons are ready again within a minute`,
      problems:
        answers.length === Fleet.daemons && answers.every(({ body }) => body?.status === "ok")
          ? []
          : answers.map(({ status, body }) => `${status} ${JSON.stringify(body)}`),
    })),
    Effect.filterOrFail(
      ({ problems }) => problems.length === 0,
      (check) => check,
    ),
    Effect.retry(Schedule.intersect(Schedule.spaced("200 millis"), Schedule.recurUpTo("1 minute"))),
    Effect.merge,
  )

/** Texts of the public messages that the daemons show as recent. */
const shownBy = (world: World) =>
  Effect.map(
    Effect.forEach(world.fleet.urls(), (url) => DaemonProcess.request("GET", `${url}/messages/recent`)),
    (answers) =>
      answers.flatMap(({ body }) =>
        ((body?.messages ?? []) as ReadonlyArray<{ readonly message: string }>).map(({ message }) => message),
      ),
  )

const checkProcesses = (
  world: World,
  load: Clients.Load,
  record: Nemesis.Record,
): ReadonlyArray<Books.Check> => [
  { name: "every failure was healed", problems: record.notHealed },
  { name: "no answer was one that nothing excuses", problems: load.unexpected },
  { name: "every daemon started, and ended as it should", problems: world.fleet.exitProblems },
  { name: "no daemon wrote of a fault", problems: world.fleet.outputProblems },
]

export const run = (
  options: Options,
  faults: ReadonlyArray<Fault>,
  directories: Directories,
  write: (text: string) => void,
) =>
  Effect.gen(function* () {
    const { world, closeApplication } = yield* makeWorld(directories)
    const load = Clients.makeLoad()
    const record = Nemesis.makeRecord()
    const watch = yield* Watch.start(world)
    const millis = options.minutes * 60_000
    const begin = yield* Clock.currentTimeMillis
    const until = begin + millis
    write(`everything is up; failures begin, for ${options.minutes} minutes ...\n`)
    const progress = yield* Effect.forkScoped(Progress.report({ load, record, watch, begin, millis, write }))
    yield* Effect.all(
      [
        Nemesis.run(world, record, faults, schedule(options.seed, millis, faults), millis),
        Clients.run(world, load, { ...options, until }),
      ],
      { concurrency: 2 },
    )
    write("everything is healed; waiting for the queues to drain ...\n")
    const confirmed = yield* Clients.confirmAll(world, load).pipe(Effect.timeoutOption("3 minutes"))
    const drained = yield* drain(world)
    const readiness = yield* checkReadiness(world)
    const shown = yield* shownBy(world)
    const leak = Watch.checkUsage(watch.usages)
    yield* Effect.forEach(
      Array.from({ length: Fleet.daemons }).keys(),
      (index) => world.fleet.terminate(index, false),
      { concurrency: "unbounded" },
    )
    yield* closeApplication
    yield* Fiber.interrupt(progress)
    const findings = yield* look(world.servers, shown)
    const checks: ReadonlyArray<Books.Check> = [
      ...Books.check(world.books, findings),
      {
        name: "every message of unknown fate could be confirmed, and the queues drained",
        problems:
          confirmed._tag === "Some" && drained._tag === "Some"
            ? []
            : [
                `${load.toSendAgain.length} were left, and the queues were ${drained._tag === "Some" ? "" : "not "}empty`,
              ],
      },
      readiness,
      ...checkProcesses(world, load, record),
      leak,
    ]
    const result: Result = { checks, load, record, watch, findings, claims: world.books.claims }
    return result
  }).pipe(
    Effect.provide(
      Logger.replaceScoped(
        Logger.defaultLogger,
        PlatformLogger.toFile(Logger.logfmtLogger, path.join(directories.logs, "application.log")),
      ).pipe(Layer.provide(NodeFileSystem.layer)),
    ),
  )
