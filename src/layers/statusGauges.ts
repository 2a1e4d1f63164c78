import { Effect, Metric } from "effect"
import { queueNames } from "../domain/Message.ts"
import type { StatusReport } from "../services/Status.ts"
import * as Metrics from "./Metrics.ts"

/** Sets the gauges to what the status says. What it does not know keeps its value. */
export const set = ({ queues }: StatusReport): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (const queue of queueNames) {
      const { length, oldestAgeMs, quarantine } = queues[queue]
      yield* Metric.set(Metrics.openQuarantineEntries[queue], quarantine.open)
      if (length === null) continue
      yield* Metric.set(Metrics.queueMessages[queue], length)
      yield* Metric.set(Metrics.oldestQueuedMessageAgeSeconds[queue], (oldestAgeMs ?? 0) / 1000)
    }
  })
