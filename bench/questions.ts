import * as processMemory from "./support/processMemory.ts"
import type { MakeQuestion } from "./support/Question.ts"

type Load = () => Promise<{ readonly make: MakeQuestion }>

/** By their name on the command line, each in one or several parts. Loaded when asked: other programs come with some. */
export const questions: Readonly<Record<string, ReadonlyArray<Load>>> = {
  publish: [() => import("./publish.ts")],
  limiter: [() => import("./limiter.ts")],
  latency: [() => import("./latency/idle.ts"), () => import("./latency/underLoad.ts")],
  flush: [() => import("./flush.ts")],
  "end-to-end": [() => import("./end-to-end.ts")],
  growth: [
    () => import("./growth/publish.ts"),
    () => import("./growth/flush.ts"),
    () => import("./growth/recent.ts"),
    () => import("./growth/deletion.ts"),
    ...(processMemory.isKnown
      ? [() => import("./growth/memory.ts"), () => import("./growth/memorySlope.ts")]
      : []),
  ],
  http: [() => import("./http/single.ts"), () => import("./http/batch.ts")],
  start: [() => import("./start.ts")],
}
