/**
 * Puts faults into a copy of the source, one after the other, and runs the model test on each: every one has to make it
 * fail. Prints what became of each, and exits with 1 when one survives. The source itself is not touched.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { mutants } from "../test/model/mutants.mjs"

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const COPIED = ["src", "lua", "migrations", "test", "package.json", "tsconfig.json", "vitest.config.ts"]
const MODEL = "test/model/flushProtocol.test.ts"
const RUNS_MAX = { "on memory": 1000, "on Valkey and PostgreSQL": 150 }
const DEADLINE_MS = 10 * 60_000

/** A mutant that tells nothing about the model: the source has changed, or it does not even run. */
class BrokenMutant extends Error {}

const say = (text) => process.stdout.write(`${text}\n`)

const copyTree = async () => {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "chat-cache-mutants-"))
  for (const name of COPIED) {
    await fs.cp(path.join(ROOT, name), path.join(directory, name), { recursive: true })
  }
  await fs.symlink(path.join(ROOT, "node_modules"), path.join(directory, "node_modules"))
  return directory
}

/** Applies the edits of a mutant. Returns what undoes them. */
const apply = async (directory, { name, edits }) => {
  const originals = new Map()
  for (const { file, before, after } of edits) {
    const target = path.join(directory, file)
    const text = await fs.readFile(target, "utf8")
    if (!originals.has(target)) originals.set(target, text)
    const occurrences = text.split(before).length - 1
    if (occurrences !== 1) {
      throw new BrokenMutant(`${name}: ${file} has the text to change ${occurrences} times instead of once`)
    }
    await fs.writeFile(
      target,
      text.replace(before, () => after),
    )
  }
  return async () => {
    for (const [target, text] of originals) await fs.writeFile(target, text)
  }
}

const running = new Set()

/** Runs the model in the copy. Returns its exit code and what it printed. */
const runModel = (directory, layer) =>
  new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [path.join(ROOT, "node_modules/vitest/vitest.mjs"), "run", MODEL, "-t", layer, "--testTimeout=0"],
      {
        cwd: directory,
        env: {
          ...process.env,
          FAST_CHECK_NUM_RUNS: String(RUNS_MAX[layer]),
          MODEL_SHRINK: "no",
          NO_COLOR: "1",
        },
        stdio: ["ignore", "pipe", "pipe"],
        timeout: DEADLINE_MS,
      },
    )
    running.add(child)
    let output = ""
    child.stdout.on("data", (bytes) => (output += bytes))
    child.stderr.on("data", (bytes) => (output += bytes))
    child.on("error", reject)
    child.on("close", (code) => {
      running.delete(child)
      resolve({ code, output })
    })
  })

const judge = async (directory, mutant) => {
  const undo = await apply(directory, mutant)
  try {
    const { code, output } = await runModel(directory, mutant.layer)
    if (code === 0) return "survived"
    // A copy that does not compile fails, too, and shows nothing.
    const [, runs] = /Property failed after (\d+) tests/.exec(output) ?? []
    if (runs === undefined) throw new BrokenMutant(`${mutant.name}: the model did not run.\n${output}`)
    const [, reason] = /^Got (?:AssertionError: |Error: )?(.*)$/m.exec(output) ?? []
    return `killed in run ${runs}: ${reason?.slice(0, 100)}`
  } finally {
    await undo()
  }
}

const chosen = () => {
  const [wanted] = process.argv.slice(2)
  return wanted === undefined ? mutants : mutants.filter(({ name }) => name.includes(wanted))
}

const main = async (directory) => {
  let failed = 0
  for (const mutant of chosen()) {
    let outcome
    try {
      outcome = await judge(directory, mutant)
    } catch (error) {
      if (!(error instanceof BrokenMutant)) throw error
      outcome = `broken: ${error.message}`
    }
    if (!outcome.startsWith("killed")) failed++
    say(`${mutant.name.padEnd(72)} ${outcome}`)
  }
  say(failed === 0 ? "Every mutant was killed." : `${failed} mutants were not killed.`)
  return failed === 0 ? 0 : 1
}

const directory = await copyTree()
const stop = () => {
  for (const child of running) child.kill("SIGTERM")
}
process.once("SIGINT", stop)
process.once("SIGTERM", stop)
try {
  process.exitCode = await main(directory)
} finally {
  await fs.rm(directory, { recursive: true, force: true })
}
