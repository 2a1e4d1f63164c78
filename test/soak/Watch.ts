/** What is observed while things fail: lengths of the queues, and what a daemon uses that is never restarted. */
import { Effect, Schedule, type Scope } from "effect"
import { queueNames } from "../../src/domain/Message.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import type { Check } from "./books.ts"
import { restarted, type Usage } from "./Fleet.ts"
import type { Servers } from "./Servers.ts"
import type { World } from "./World.ts"

const { flushQueue } = Keys.make("")

export interface Watch {
  /** `undefined` while Valkey does not answer. */
  queued: number | undefined
  largest: number
  readonly usages: Array<Usage>
}

export const queueLength = ({ onValkey }: Servers) =>
  onValkey(async (client) => {
    const lengths = await Promise.all(queueNames.map((name) => client.llen(flushQueue[name])))
    return lengths.reduce((sum, length) => sum + length, 0)
  })

/** Goes on until the scope is closed. */
export const start = (world: World): Effect.Effect<Watch, never, Scope.Scope> =>
  Effect.gen(function* () {
    const watch: Watch = { queued: undefined, largest: 0, usages: [] }
    const look = Effect.gen(function* () {
      const usage = yield* world.fleet.usage(restarted)
      if (usage !== undefined) watch.usages.push(usage)
      watch.queued = yield* queueLength(world.servers).pipe(
        Effect.disconnect,
        Effect.timeout("2 seconds"),
        Effect.orElseSucceed(() => undefined),
      )
      watch.largest = Math.max(watch.largest, watch.queued ?? 0)
    })
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("1 second")))
    return watch
  })

/** Fewer samples than these say nothing: a process that has just started grows. */
const fewestSamples = 90

const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((one, other) => one - other)[values.length >>> 1] ?? 0

const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20)

/** Sockets and heap vary with what fails just now. A leak goes on. */
const bounds = {
  openFiles: (before: number) => before + 20,
  residentBytes: (before: number) => before * 1.25 + 32 * 2 ** 20,
}

export const describeUsage = (usages: ReadonlyArray<Usage>): string => {
  const third = Math.floor(usages.length / 3)
  const [first, last] = [usages.slice(0, third), usages.slice(usages.length - third)].map((part) => ({
    openFiles: median(part.map(({ openFiles }) => openFiles)),
    residentBytes: median(part.map(({ residentBytes }) => residentBytes)),
  })) as [Usage, Usage]
  return `${first.openFiles} open files and ${mebibytes(first.residentBytes)} MiB in the first third of the run, ${last.openFiles} and ${mebibytes(last.residentBytes)} in the last`
}

export const checkUsage = (usages: ReadonlyArray<Usage>): Check => {
  const name = "the daemon that is never restarted leaks neither files nor memory"
  if (usages.length < fewestSamples) {
    return { name: `${name} (not judged: ${usages.length} samples are too few)`, problems: [] }
  }
  const third = Math.floor(usages.length / 3)
  const grown = (["openFiles", "residentBytes"] as const).some((measure) => {
    const [before, after] = [usages.slice(0, third), usages.slice(usages.length - third)].map((part) =>
      median(part.map((usage) => usage[measure])),
    ) as [number, number]
    return after > bounds[measure](before)
  })
  return { name, problems: grown ? [describeUsage(usages)] : [] }
}
