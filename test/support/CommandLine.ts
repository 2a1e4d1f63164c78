/** The command line as a process of its own, on servers of the test. */
import { Effect, Redacted } from "effect"
import { spawn } from "node:child_process"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { inject } from "vitest"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"

export interface Outcome {
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
  /** Standard output as the one JSON document that it is. */
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever is printed, for the assertions to look at
  readonly json: any
  /** Standard error in the same way. */
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  readonly error: any
}

export interface Options {
  /** Added to the environment; `undefined` takes out of it. */
  readonly environment?: Record<string, string | undefined>
  readonly input?: string
}

const compileCache = () => path.join(inject("temporaryDirectory"), "compile-cache")

const project = fileURLToPath(new URL("../../", import.meta.url))

export const entry = "src/cli/main.ts"

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Runs a program to its end. Interrupting it kills the program. */
export const runProgram = (
  program: string,
  args: ReadonlyArray<string>,
  { environment = {}, input = "" }: Options = {},
): Effect.Effect<Outcome> =>
  Effect.async((resume) => {
    const child = spawn(program, [...args], {
      cwd: project,
      // The cache of compiled code belongs to the run of the tests.
      env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: compileCache(), ...environment },
      stdio: ["pipe", "pipe", "pipe"],
    })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.stdin.on("error", () => {})
    child.stdin.end(input)
    child.once("close", (code, signal) =>
      resume(
        Effect.succeed({
          code: code ?? signal ?? 0,
          stdout,
          stderr,
          json: parsed(stdout),
          error: parsed(stderr),
        }),
      ),
    )
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** `chat-cache <args>` without servers. */
export const chatCache = (args: ReadonlyArray<string>, options?: Options) =>
  runProgram(process.execPath, [entry, ...args], options)

/** The environment of a command that goes to the servers of the test itself. */
export const serverEnvironment = Effect.gen(function* () {
  const valkey = yield* ValkeyServer
  const postgres = yield* PostgresServer
  return { VALKEY_URL: Redacted.value(valkey.url), DATABASE_URL: Redacted.value(postgres.url) }
})
