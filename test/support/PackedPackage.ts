/** The package as npm publishes it, installed into an empty project. */
import { execFile, type ExecFileException } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const repository = fileURLToPath(new URL("../../", import.meta.url))

/** What building and packing need of a clone, beside what is packed; node_modules are those of the repository. */
const sources = ["package.json", "tsconfig.json", "tsconfig.build.json", "README.md", "LICENSE"]

/** What a user of the package installs beside it for the examples, and to compile them. */
const besides = ["effect", "@effect/platform", "@effect/platform-node", "@types/node"]

export interface Manifest {
  readonly name: string
  readonly files: ReadonlyArray<string>
  readonly exports: Readonly<Record<string, unknown>>
  readonly bin?: string | Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface Outcome {
  readonly code: number
  readonly output: string
}

/** Runs a program to its end, whatever that is. */
export const run = (
  cwd: string,
  command: string,
  args: ReadonlyArray<string>,
  environment: Record<string, string> = {},
): Promise<Outcome> =>
  new Promise((resolve) => {
    const env = { ...process.env, ...environment }
    // What this test runner needs is nothing that a user's process has.
    delete env["NODE_OPTIONS"]
    execFile(command, args, { cwd, env }, (error: ExecFileException | null, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
    )
  })

const mustRun = async (...args: Parameters<typeof run>): Promise<string> => {
  const { code, output } = await run(...args)
  if (code !== 0) throw new Error(`${args[1]} ${args[2].join(" ")} ended with ${code}:\n${output}`)
  return output
}

const readManifest = (directory: string): Manifest =>
  JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as Manifest

/** Builds and packs a copy of the repository, so that nobody finds its own `dist` gone meanwhile. */
const pack = async (directory: string): Promise<string> => {
  const clone = path.join(directory, "clone")
  fs.mkdirSync(clone)
  const packed = readManifest(repository).files.filter((name) => name !== "dist")
  for (const name of [...sources, ...packed]) {
    fs.cpSync(path.join(repository, name), path.join(clone, name), { recursive: true })
  }
  fs.symlinkSync(path.join(repository, "node_modules"), path.join(clone, "node_modules"))
  await mustRun(clone, "npm", ["pack", "--silent", "--pack-destination", directory])
  const name = fs.readdirSync(directory).find((file) => file.endsWith(".tgz"))
  return path.join(directory, name as string)
}

const link = (project: string, name: string): void => {
  const target = path.join(repository, "node_modules", name)
  const place = path.join(project, "node_modules", name)
  // An optional package may not be for this machine.
  if (!fs.existsSync(target) || fs.existsSync(place)) return
  fs.mkdirSync(path.dirname(place), { recursive: true })
  fs.symlinkSync(target, place)
}

/**
 * As `npm install` of the tarball leaves it, without asking a registry: only what the package says that it depends on is
 * there, taken from the repository.
 */
const install = async (directory: string, tarball: string): Promise<string> => {
  const project = path.join(directory, "project")
  const place = path.join(project, "node_modules/chat-cache")
  fs.mkdirSync(place, { recursive: true })
  await promisify(execFile)("tar", ["-xzf", tarball, "--strip-components=1", "-C", place])
  const manifest = readManifest(place)
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }))
    link(project, name)
  for (const name of besides) link(project, name)
  fs.writeFileSync(path.join(project, "package.json"), JSON.stringify({ type: "module", private: true }))
  return project
}

export interface PackedPackage {
  readonly tarball: string
  /** A project in whose node_modules the package is. */
  readonly project: string
  readonly manifest: Manifest
}

export const make = async (directory: string): Promise<PackedPackage> => {
  const tarball = await pack(directory)
  const project = await install(directory, tarball)
  return { tarball, project, manifest: readManifest(path.join(project, "node_modules/chat-cache")) }
}

/** A program of the repository's own tools. */
export const tool = (name: string): string => path.join(repository, "node_modules/.bin", name)

export { repository }
