/** `npm run soak` as its users see it, for a few seconds. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { inject } from "vitest"

const project = fileURLToPath(new URL("../../", import.meta.url))

/** Five processes have to start, which takes a few seconds of a processor that may have other work. */
const timeout = 300_000

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const soak = (
  args: ReadonlyArray<string>,
  temporaryDirectory: string,
  onStarted: (child: ChildProcess) => void = () => {},
) =>
  Effect.async<Ended>((resume) => {
    const child = execFile(
      process.execPath,
      ["test/soak/main.ts", ...args],
      { cwd: project, env: { PATH: process.env["PATH"], TMPDIR: temporaryDirectory } },
      (_error, stdout, stderr) => resume(Effect.succeed({ code: child.exitCode, stdout, stderr })),
    )
    onStarted(child)
    return Effect.sync(() => void child.kill())
  })

const emptyDirectory = Effect.promise(async () => {
  const directory = path.join(inject("temporaryDirectory"), randomUUID())
  await fs.mkdir(directory)
  return directory
})

const childrenOf = async (parent: number): Promise<ReadonlyArray<number>> => {
  const { stdout } = await promisify(execFile)("ps", ["-e", "-o", "pid=,ppid="])
  const pairs = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
  return pairs.flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []))
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const leftIn = (directory: string) => Effect.promise(() => fs.readdir(directory))

it.live(
  "a few seconds of failures leave the books in order, and nothing behind",
  () =>
    Effect.gen(function* () {
      const directory = yield* emptyDirectory
      const kinds = "kill-daemon,kill-valkey,cut-postgres,drop-replies-of-valkey,push-poison,flush-everywhere"
      const { code, stdout, stderr } = yield* soak(
        ["--minutes", "0.06", "--clients", "4", "--seed", "28", "--faults", kinds],
        directory,
      )
      assert.strictEqual(code, 0, `${stdout}${stderr}`)
      assert.match(stdout, /^npm run soak -- --minutes 0\.06 --clients 4 --seed 28 --faults kill-daemon/)
      assert.match(stdout, /^ {2}messages +\d+: accepted [1-9]/m)
      assert.match(stdout, /^ {2}failures +[1-9]/m)
      assert.match(stdout, /^ {2}ok +what was accepted is stored or quarantined exactly once$/m)
      assert.notInclude(stdout, "failed")
      assert.deepStrictEqual(yield* leftIn(directory), [])
    }),
  timeout,
)

it.live(
  "Ctrl-C ends it in the middle, and nothing stays behind",
  () =>
    Effect.gen(function* () {
      const directory = yield* emptyDirectory
      let children: ReadonlyArray<number> = []
      const { code, stdout } = yield* soak(["--minutes", "5", "--clients", "2"], directory, (child) => {
        child.stderr?.once("data", async () => {
          children = await childrenOf(child.pid!)
          child.kill("SIGINT")
        })
      })
      assert.strictEqual(code, 130)
      assert.match(stdout, /--seed \d+/)
      // Three daemons and two servers.
      assert.isAtLeast(children.length, 5)
      assert.deepStrictEqual(children.filter(isRunning), [])
      assert.deepStrictEqual(yield* leftIn(directory), [])
    }),
  timeout,
)

it.live("a command line that makes no sense is refused before a server is started", () =>
  Effect.gen(function* () {
    const directory = yield* emptyDirectory
    const { code, stdout, stderr } = yield* soak(["--faults", "kill-everybody"], directory)
    assert.deepStrictEqual([code, stdout], [1, ""])
    assert.include(stderr, 'there is no failure "kill-everybody"; there is kill-daemon')
    assert.deepStrictEqual(yield* leftIn(directory), [])
  }),
)
