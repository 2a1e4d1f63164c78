import * as endToEnd from "./end-to-end.ts"
import * as flush from "./flush.ts"
import * as growthDeletion from "./growth/deletion.ts"
import * as growthFlush from "./growth/flush.ts"
import * as growthMemory from "./growth/memory.ts"
import * as growthMemorySlope from "./growth/memorySlope.ts"
import * as growthPublish from "./growth/publish.ts"
import * as growthRecent from "./growth/recent.ts"
import * as httpBatch from "./http/batch.ts"
import * as httpSingle from "./http/single.ts"
import * as latencyIdle from "./latency/idle.ts"
import * as latencyUnderLoad from "./latency/underLoad.ts"
import * as limiter from "./limiter.ts"
import * as publish from "./publish.ts"
import * as start from "./start.ts"
import * as processMemory from "./support/processMemory.ts"
import type { MakeQuestion } from "./support/Question.ts"

/** By their name on the command line, each in one or several parts. */
export const questions: Readonly<Record<string, ReadonlyArray<MakeQuestion>>> = {
  publish: [publish.make],
  limiter: [limiter.make],
  latency: [latencyIdle.make, latencyUnderLoad.make],
  flush: [flush.make],
  "end-to-end": [endToEnd.make],
  growth: [
    growthPublish.make,
    growthFlush.make,
    growthRecent.make,
    growthDeletion.make,
    ...(processMemory.isKnown ? [growthMemory.make, growthMemorySlope.make] : []),
  ],
  http: [httpSingle.make, httpBatch.make],
  start: [start.make],
}
