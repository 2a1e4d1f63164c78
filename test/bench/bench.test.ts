/** `npm run bench` as its users see it. The sizes are tiny: what is tested is that it works, not how fast. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { inject } from "vitest"
import type { QuestionResult } from "../../bench/support/Result.ts"

const project = fileURLToPath(new URL("../../", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const bench = (args: ReadonlyArray<string>, temporaryDirectory: string) =>
  Effect.async<Ended>((resume) => {
    const child = execFile(
      process.execPath,
      ["bench/main.ts", ...args],
      { cwd: project, env: { PATH: process.env["PATH"], TMPDIR: temporaryDirectory } },
      (_error, stdout, stderr) => resume(Effect.succeed({ code: child.exitCode, stdout, stderr })),
    )
    return Effect.sync(() => void child.kill())
  })

const emptyDirectory = Effect.promise(async () => {
  const directory = path.join(inject("temporaryDirectory"), randomUUID())
  await fs.mkdir(directory)
  return directory
})

const readResults = async (file: string) =>
  JSON.parse(await fs.readFile(file, "utf8")) as { readonly questions: ReadonlyArray<QuestionResult> }

it.live("every question is answered, and nothing stays behind", () =>
  Effect.gen(function* () {
    const directory = yield* emptyDirectory
    const json = path.join(directory, "results.json")
    const { code, stdout, stderr } = yield* bench(
      ["--messages", "600", "--callers", "20", "--users", "50", "--repetitions", "1", "--json", json],
      directory,
    )
    assert.strictEqual(code, 0, stderr)
    const contestants = [
      "one EVALSHA per message",
      "chat-cache publish",
      "chat-cache publishAll (128 per call, 4 calls in flight)",
      "INSERT per row, batches of 2000",
      "chat-cache flush, batches of 2000",
      "INSERT per row, batches of 500",
      "chat-cache flush, batches of 500",
    ]
    for (const contestant of contestants) assert.include(stdout, `  ${contestant} `)
    for (const version of ["node", "valkey", "postgresql"])
      assert.match(stdout, new RegExp(`${version} \\S*\\d`))
    assert.match(stderr, /^flush 8\/8 \(round 1 of 1\): .+; about 0 s left$/m)

    const { questions } = yield* Effect.promise(() => readResults(json))
    assert.deepStrictEqual(
      questions
        .flatMap((question) => question.contestants)
        .map(({ name, samples }) => [name, samples.length]),
      contestants.map((name) => [name, 1]),
    )
    assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(directory)), ["results.json"])
  }),
)

it.live("a command line that makes no sense is refused before a server is started", () =>
  Effect.gen(function* () {
    const directory = yield* emptyDirectory
    const { code, stdout, stderr } = yield* bench(["publsh"], directory)
    assert.deepStrictEqual([code, stdout], [1, ""])
    assert.include(stderr, 'there is no question "publsh"; there is publish, flush')
    assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(directory)), [])
  }),
)
