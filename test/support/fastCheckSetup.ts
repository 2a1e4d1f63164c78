import { FastCheck } from "effect"
import * as fastCheck from "fast-check"
import { inject } from "vitest"

const runs = process.env["FAST_CHECK_NUM_RUNS"]
const parameters = {
  seed: inject("fastCheckSeed"),
  ...(runs === undefined ? {} : { numRuns: Number(runs) }),
}

// Effect brings its own major version of fast-check, with settings of its own.
fastCheck.configureGlobal(parameters)
FastCheck.configureGlobal(parameters)
