/** `npm run bench` as its users see it. The sizes are tiny: what is tested is that it works, not how fast. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { inject } from "vitest"
import { questions } from "../../bench/questions.ts"
import { type Recorded, slugOf } from "../../bench/support/Results.ts"

const project = fileURLToPath(new URL("../../", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const bench = (
  args: ReadonlyArray<string>,
  temporaryDirectory: string,
  onStart: (child: ChildProcess) => void = () => {},
) =>
  Effect.async<Ended>((resume) => {
    const child = execFile(
      process.execPath,
      ["bench/main.ts", ...args],
      { cwd: project, env: { PATH: process.env["PATH"], TMPDIR: temporaryDirectory } },
      (_error, stdout, stderr) => resume(Effect.succeed({ code: child.exitCode, stdout, stderr })),
    )
    onStart(child)
    return Effect.sync(() => void child.kill())
  })

const emptyDirectory = Effect.promise(async () => {
  const directory = path.join(inject("temporaryDirectory"), randomUUID())
  await fs.mkdir(directory)
  return directory
})

const readResult = async (file: string) => JSON.parse(await fs.readFile(file, "utf8")) as Recorded

const tiny = ["--messages", "200", "--callers", "20", "--users", "50", "--repetitions", "1", "--seconds", "1"]

it.live(
  "every question is answered, the answers make a page, and nothing stays behind",
  () =>
    Effect.gen(function* () {
      const directory = yield* emptyDirectory
      const results = path.join(directory, "results")
      const { code, stdout, stderr } = yield* bench([...tiny, "--results", results], directory)
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(directory)), ["results"])
      for (const version of ["node", "valkey", "postgresql"]) {
        assert.match(stdout, new RegExp(`${version} \\S*\\d`))
      }
      assert.match(stderr, /^flush 16\/16 \(round 1 of 1\): .+; about 0 s left$/m)
      assert.match(
        stdout,
        /\d+ of 50 messages are lost/,
        "the original's algorithm loses messages, and it is said",
      )

      const files = yield* Effect.promise(() => fs.readdir(results))
      const parts = Object.values(questions).flat().length
      assert.strictEqual(files.filter((file) => file.endsWith(".json")).length, parts, files.join(", "))
      for (const file of files.filter((name) => name.endsWith(".json"))) {
        const { question, command } = yield* Effect.promise(() => readResult(path.join(results, file)))
        assert.strictEqual(file, `${slugOf(question.name)}.json`)
        assert.match(command, /^npm run bench -- [a-z-]+ --messages 200 /)
        for (const { name, samples } of question.contestants) {
          assert.include(stdout, `  ${name} `)
          assert.strictEqual(samples.length, 1, `${question.name}, ${name}`)
        }
        const chart = yield* Effect.promise(() =>
          fs.readFile(path.join(results, file.replace("json", "svg")), "utf8"),
        )
        assert.match(chart, /^<svg/)
      }

      const page = path.join(directory, "benchmarks.md")
      const report = yield* bench(["report", "--results", results, "--output", page], directory)
      assert.strictEqual(report.code, 0, report.stderr)
      const text = yield* Effect.promise(() => fs.readFile(page, "utf8"))
      assert.strictEqual(text.match(/^## /gm)?.length, parts)
      assert.strictEqual(text.match(/^Measure it again: `npm run bench -- /gm)?.length, parts)
      assert.strictEqual(text.match(/^\*\*Does not show:\*\* \w/gm)?.length, parts)
    }),
  240_000,
)

it.live("a run that is interrupted ends with 130, and its servers with it", () =>
  Effect.gen(function* () {
    const directory = yield* emptyDirectory
    const args = [
      "publish",
      "--repetitions",
      "1000",
      "--messages",
      "200",
      "--results",
      path.join(directory, "results"),
    ]
    const { code } = yield* bench(args, directory, (child) => {
      child.stderr?.on("data", (text: string) => {
        if (text.includes("warm-up")) child.kill("SIGINT")
      })
    })
    assert.strictEqual(code, 130)
    assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(directory)), ["results"])
  }),
)

it.live("a command line that makes no sense is refused with 64, before a server is started", () =>
  Effect.gen(function* () {
    const directory = yield* emptyDirectory
    const { code, stdout, stderr } = yield* bench(["publsh"], directory)
    assert.deepStrictEqual([code, stdout], [64, ""], stderr)
    assert.include(stderr, 'there is no question "publsh"; there is publish, limiter')
    assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(directory)), [])
  }),
)

/** A daemon as far as load can tell: takes two of three messages. */
const fakeDaemon = Effect.acquireRelease(
  Effect.promise(async () => {
    let received = 0
    const server = http.createServer((request, response) => {
      request.resume().once("end", () => {
        received++
        const isTaken = received % 3 !== 0
        response
          .writeHead(isTaken ? 202 : 429, { "content-type": "application/json" })
          .end(JSON.stringify(isTaken ? { cache_id: received } : {}))
      })
    })
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  }),
  ({ server }) =>
    Effect.promise(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => void server.close(resolve))
    }),
)

it.scopedLive("load for a daemon that runs is counted by the status of its answers", () =>
  Effect.gen(function* () {
    const directory = yield* emptyDirectory
    const { url } = yield* fakeDaemon
    const { code, stdout, stderr } = yield* bench(["--url", url, "--rate", "90", "--seconds", "1"], directory)
    assert.strictEqual(code, 0, stderr)
    assert.match(stdout, /requests +90 sent, 90 answered, 0 not sent/)
    assert.match(stdout, /accepted +60 messages/)
    assert.match(stdout, /answers +202 60 · 429 30$/m)
    assert.match(stdout, /p50 [\d.]+ ms · p99 [\d.]+ ms · p99\.9 [\d.]+ ms/)
  }),
)

it.scopedLive("load that is interrupted says what it has measured so far", () =>
  Effect.gen(function* () {
    const directory = yield* emptyDirectory
    const { url } = yield* fakeDaemon
    const args = ["--url", url, "--rate", "50", "--seconds", "600"]
    const { code, stdout } = yield* bench(args, directory, (child) => {
      child.stderr?.on("data", (text: string) => {
        if (/[1-9]\d* messages accepted/.test(text)) child.kill("SIGINT")
      })
    })
    assert.strictEqual(code, 130)
    assert.match(stdout, /accepted +[1-9]\d* messages/)
  }),
)
