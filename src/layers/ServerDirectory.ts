/**
 * The directory of one embedded server: its data, its password, its log, and the locks that keep two chat-caches from
 * running on the same data.
 */
import { Clock, Effect, Schedule, type Scope } from "effect"
import { execFile } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { promisify } from "node:util"
import {
  type EmbeddedServerName,
  ServerDirectoryInUse,
  ServerNotStarted,
} from "../domain/EmbeddedServerErrors.ts"

/** The account that a server runs as where it is not the daemon's own. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

export interface ServerDirectory {
  readonly path: string
  /** Holds nothing but the server's own files. It may not exist yet. */
  readonly data: string
  readonly log: string
  /** Written before the server starts: the id of its process. */
  readonly processFile: string
  readonly account: Account | undefined
  readonly password: string
}

/** Where a server that does not run as root has its data, when its account cannot reach the daemon's directory. */
export const SYSTEM_DIRECTORY = "/var/lib/chat-cache"

/** @param directory the daemon's own, in full */
export const systemHome = (directory: string, server: string): string =>
  path.join(SYSTEM_DIRECTORY, createHash("sha256").update(directory).digest("hex").slice(0, 16), server)

const LOCK_HELD = 5
/** A daemon that was killed a moment ago may still be on its way out of the kernel, and hold its lock until then. */
const LOCK_SCHEDULE = Schedule.spaced("50 millis").pipe(Schedule.intersect(Schedule.recurs(20)))
const PREVIOUS_SERVER_WAIT = "15 seconds"

export const isRoot = (): boolean => process.getuid?.() === 0

/** Turns any rejection into the error that stops the start, with what was being done in its reason. */
export const attempt = <A>(
  server: EmbeddedServerName,
  what: string,
  evaluate: () => Promise<A>,
): Effect.Effect<A, ServerNotStarted> =>
  Effect.tryPromise({
    try: evaluate,
    catch: (cause) => {
      const reason = cause instanceof Error ? cause.message : String(cause)
      const hint = /\bE(ACCES|PERM)\b/.test(reason)
        ? "; the files belong to another user: run as that user or set CHAT_CACHE_DATA_DIR"
        : ""
      return new ServerNotStarted({ server, reason: `${what}: ${reason}${hint}` })
    },
  })

/** As root, data that an ordinary user owns stays usable for that user: the server runs as the owner. */
export const ownerOf = (directory: string): Effect.Effect<Account | undefined> =>
  Effect.promise(() => fs.stat(directory).catch(() => undefined)).pipe(
    Effect.map((stat) =>
      stat === undefined || stat.uid === 0 || !isRoot() ? undefined : { uid: stat.uid, gid: stat.gid },
    ),
  )

export const giveTo = async (account: Account | undefined, file: string): Promise<void> => {
  if (account !== undefined) await fs.chown(file, account.uid, account.gid)
}

/** Sends a signal to a process, or to a group of them by a negative id, that may have gone by itself just before. */
export const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause
  }
}

/** Opens the way to what is below for the account of a server, whatever the mask of the daemon is. */
export const makeReachable = async (directory: string): Promise<void> => {
  await fs.mkdir(directory, { recursive: true })
  await fs.chmod(directory, 0o755)
}

/** Writes a file that nobody but the server's account can read. */
export const writePrivate = async (
  account: Account | undefined,
  file: string,
  content: string,
): Promise<void> => {
  await fs.writeFile(file, content, { mode: 0o600 })
  await giveTo(account, file)
}

/**
 * The kernel drops this lock when the process dies in whatever way, so nothing stale can stay behind.
 * It is an empty SQLite database since Node has no lock on files of its own.
 */
const lock = (
  server: EmbeddedServerName,
  directory: string,
): Effect.Effect<DatabaseSync, ServerDirectoryInUse | ServerNotStarted, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const database = new DatabaseSync(path.join(directory, "lock"), { timeout: 0 })
        try {
          database.exec("BEGIN EXCLUSIVE")
        } catch (cause) {
          database.close()
          throw cause
        }
        return database
      },
      catch: (cause) =>
        cause instanceof Error && "errcode" in cause && cause.errcode === LOCK_HELD
          ? new ServerDirectoryInUse({ server, directory })
          : new ServerNotStarted({
              server,
              reason: `cannot lock ${directory} (${String(cause)}); make it writable for this user or set CHAT_CACHE_DATA_DIR`,
            }),
    }),
    (database) => Effect.sync(() => database.close()),
  )

const commandLine = async (pid: number): Promise<string> => {
  try {
    return process.platform === "linux"
      ? await fs.readFile(`/proc/${pid}/cmdline`, "utf8")
      : (await promisify(execFile)("ps", ["-o", "args=", "-p", String(pid)])).stdout
  } catch {
    return ""
  }
}

/** The id of the server that runs on this directory. */
export const runningServer = async (directory: string): Promise<number | undefined> => {
  const text = await fs.readFile(path.join(directory, "process"), "utf8").catch(() => "")
  const pid = Number.parseInt(text, 10)
  // The id may belong to any other process by now: only one that names this directory is the server.
  return pid > 1 && (await commandLine(pid)).includes(directory) ? pid : undefined
}

/**
 * With the lock in hand the daemon that started the previous server is gone, and that server is about to stop. It gets
 * the time for that; starting a second one on the same files before would destroy them.
 */
const awaitPreviousServer = (
  server: EmbeddedServerName,
  directory: string,
): Effect.Effect<void, ServerDirectoryInUse> => {
  const gone = Effect.promise(() => runningServer(directory)).pipe(
    Effect.repeat({ schedule: Schedule.spaced("25 millis"), until: (pid) => pid === undefined }),
    Effect.interruptible,
  )
  const kill = Effect.promise(() => runningServer(directory)).pipe(
    Effect.flatMap((pid) => Effect.sync(() => pid !== undefined && signal(pid, "SIGKILL"))),
  )
  const inUse = () => new ServerDirectoryInUse({ server, directory })
  return gone.pipe(
    Effect.timeoutFail({ duration: PREVIOUS_SERVER_WAIT, onTimeout: inUse }),
    Effect.catchAll(() =>
      kill.pipe(
        Effect.zipRight(gone),
        Effect.timeoutFail({ duration: PREVIOUS_SERVER_WAIT, onTimeout: inUse }),
      ),
    ),
    Effect.asVoid,
    Effect.withClock(Clock.make()),
  )
}

const readOrCreatePassword = async (directory: string, account: Account | undefined): Promise<string> => {
  const file = path.join(directory, "password")
  const known = await fs.readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") throw cause
    return ""
  })
  if (known.trim() !== "") return known.trim()
  const password = randomBytes(24).toString("hex")
  await writePrivate(account, file, `${password}\n`)
  return password
}

/** Makes the directory where it is missing and holds it until the scope is closed. */
export const open = Effect.fnUntraced(function* (options: {
  readonly server: EmbeddedServerName
  readonly directory: string
  readonly account: Account | undefined
}) {
  const { account, directory, server } = options
  const data = path.join(directory, "data")
  yield* attempt(server, `cannot use ${directory}`, async () => {
    // Only the last step of the way is closed to others: the account of the server has to get there.
    await fs.mkdir(path.dirname(directory), { recursive: true })
    await fs.mkdir(directory, { recursive: true, mode: 0o700 })
    await giveTo(account, directory)
  })
  yield* lock(server, directory).pipe(
    Effect.retry({
      schedule: LOCK_SCHEDULE,
      while: (error) => error._tag === "ServerDirectoryInUse",
    }),
    Effect.withClock(Clock.make()),
  )
  yield* attempt(server, `cannot use ${directory}`, () => giveTo(account, path.join(directory, "lock")))
  yield* awaitPreviousServer(server, directory)
  const password = yield* attempt(server, `cannot read the password in ${directory}`, () =>
    readOrCreatePassword(directory, account),
  )
  return {
    path: directory,
    data,
    log: path.join(directory, "server.log"),
    processFile: path.join(directory, "process"),
    account,
    password,
  } satisfies ServerDirectory
})
