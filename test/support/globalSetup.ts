/** Starts the Valkey and the PostgreSQL that all test files of a run share, and takes every trace of them away again. */
import { Effect, Exit, Redacted, Scope } from "effect"
import { execFile } from "node:child_process"
import { randomInt } from "node:crypto"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import type { TestProject } from "vitest/node"
import * as PostgresServerEmbedded from "../../src/layers/PostgresServerEmbedded.ts"
import * as ValkeyServerEmbedded from "../../src/layers/ValkeyServerEmbedded.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly valkeyUrl: string
    readonly postgresUrl: string
    /** A cluster that was never started, with its password beside it: the start of a server of a test's own. */
    readonly postgresTemplate: string
    /** Emptied at the end of the run. */
    readonly temporaryDirectory: string
    readonly fastCheckSeed: number
  }
}

const DIRECTORY_PREFIX = "chat-cache-test-"

/** Many test files, each with daemons of its own. Durable as in production: anything else is a finding. */
const SETTINGS = { max_connections: "300" }

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

const remove = (directory: string): void =>
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })

/** A run that was killed could not tidy up. */
const removeLeftovers = (): void => {
  for (const name of readdirSync(os.tmpdir())) {
    const owner = Number(new RegExp(`^${DIRECTORY_PREFIX}(\\d+)-`).exec(name)?.[1])
    if (owner > 0 && !isRunning(owner)) remove(path.join(os.tmpdir(), name))
  }
}

const makeTemporaryDirectory = async (): Promise<string> => {
  const directory = mkdtempSync(path.join(os.tmpdir(), `${DIRECTORY_PREFIX}${process.pid}-`))
  // The account that PostgreSQL runs as for root has to get through.
  await fs.chmod(directory, 0o755)
  return directory
}

const startServers = (temporaryDirectory: string) =>
  Effect.gen(function* () {
    const shared = path.join(temporaryDirectory, "shared")
    const [valkey, postgres] = yield* Effect.all(
      [
        ValkeyServerEmbedded.make({ directory: shared }),
        PostgresServerEmbedded.make({ directory: shared, settings: SETTINGS }),
      ],
      { concurrency: "unbounded" },
    )
    const postgresTemplate = path.join(temporaryDirectory, "template")
    yield* Effect.promise(() => promisify(execFile)("cp", ["-a", postgres.path, postgresTemplate]))
    const processes = yield* Effect.all([valkey.run, postgres.run], { concurrency: "unbounded" })
    return {
      valkeyUrl: Redacted.value(valkey.url),
      postgresUrl: Redacted.value(postgres.url),
      postgresTemplate,
      pids: processes.map(({ pid }) => pid),
    }
  })

const killGroup = (pid: number): void => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // It has stopped already.
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  removeLeftovers()
  const temporaryDirectory = await makeTemporaryDirectory()
  const scope = Effect.runSync(Scope.make())
  let pids: ReadonlyArray<number> = []
  // Ctrl-C ends the process without the teardown; this is all that it still runs.
  const onExit = (): void => {
    for (const pid of pids) killGroup(pid)
    remove(temporaryDirectory)
  }
  process.once("exit", onExit)

  const servers = await Effect.runPromise(Scope.extend(startServers(temporaryDirectory), scope))
  pids = servers.pids
  const fastCheckSeed = Number(process.env["FAST_CHECK_SEED"] ?? randomInt(2 ** 31))
  process.stdout.write(`FAST_CHECK_SEED=${fastCheckSeed}\n`)
  project.provide("valkeyUrl", servers.valkeyUrl)
  project.provide("postgresUrl", servers.postgresUrl)
  project.provide("postgresTemplate", servers.postgresTemplate)
  project.provide("temporaryDirectory", temporaryDirectory)
  project.provide("fastCheckSeed", fastCheckSeed)

  return async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    process.off("exit", onExit)
    remove(temporaryDirectory)
  }
}
