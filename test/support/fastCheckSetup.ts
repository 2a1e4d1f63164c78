import * as fc from "fast-check"
import { inject } from "vitest"

const runs = process.env["FAST_CHECK_NUM_RUNS"]

fc.configureGlobal({
  seed: inject("fastCheckSeed"),
  ...(runs === undefined ? {} : { numRuns: Number(runs) }),
})
