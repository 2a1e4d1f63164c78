/** Runs the model of the flush protocol for as long as asked, in memory and on real servers. */
import { Data, Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Options } from "./Options.ts"

class ModelFailed extends Data.TaggedError("ModelFailed")<{ readonly message: string }> {}

const project = fileURLToPath(new URL("../../", import.meta.url))

/** In memory a run is fast, and on real servers it shows more. */
const shares = [
  { backend: "on memory", share: 0.5 },
  { backend: "on Valkey and PostgreSQL", share: 0.5 },
] as const

/** What it prints goes to the terminal: a failure with how to repeat it. */
const runModel = (backend: string, { minutes, seed }: Options, share: number) =>
  Effect.async<void, ModelFailed>((resume) => {
    const child = spawn(
      process.execPath,
      ["node_modules/vitest/vitest.mjs", "run", "test/model/flushProtocol.test.ts", "-t", backend],
      {
        cwd: project,
        env: {
          ...process.env,
          FAST_CHECK_SEED: String(seed),
          MODEL_MINUTES: String(minutes * share),
        },
        stdio: ["ignore", "inherit", "inherit"],
      },
    )
    child.once("error", (error) => resume(new ModelFailed({ message: error.message })))
    child.once("close", (code) =>
      resume(code === 0 ? Effect.void : new ModelFailed({ message: `The model has failed ${backend}.` })),
    )
    return Effect.async<void>((ended) => {
      child.once("close", () => ended(Effect.void))
      child.kill("SIGINT")
    })
  })

export const run = (options: Options): Effect.Effect<void, ModelFailed> =>
  Effect.forEach(shares, ({ backend, share }) => runModel(backend, options, share), { discard: true })
