/** Processor time that processes have used, in microseconds: theirs, and so not what else the machine does. */
import { Effect, type Scope } from "effect"
import { readFile } from "node:fs/promises"
import * as connections from "./connections.ts"
import type { Servers } from "./Question.ts"

/** `null` where it cannot be told, or where there is no such process. */
export interface ProcessorTimes {
  /** This process. */
  readonly client: number
  readonly valkey: number | null
  /** With its backends and its background processes, also those that have ended. */
  readonly postgresql: number | null
  readonly daemon: number | null
}

/** Reads them now. */
export type ReadProcessorTimes = (daemon: number | undefined) => Effect.Effect<ProcessorTimes>

/** Linux counts in hundredths of a second wherever programs can see it. */
const microsPerTick = 10_000

interface ProcessStat {
  readonly parent: number
  readonly own: number
  readonly withEndedChildren: number
}

/** @throws where there is no such process, or no /proc */
const readStat = async (pid: number): Promise<ProcessStat> => {
  const text = await readFile(`/proc/${pid}/stat`, "utf8")
  // The name of the program stands in brackets and may hold anything.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number)
  const [, parent, user, system, childrenUser, childrenSystem] = [0, 1, 11, 12, 13, 14].map(
    (index) => fields[index]!,
  ) as [number, number, number, number, number, number]
  const own = (user + system) * microsPerTick
  return { parent, own, withEndedChildren: own + (childrenUser + childrenSystem) * microsPerTick }
}

const childrenOf = async (pid: number): Promise<ReadonlyArray<number>> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).split(" ").filter(Boolean).map(Number)

const orNull = (read: () => Promise<number>): Promise<number | null> => read().catch(() => null)

const ofPostgres = async (postmaster: number): Promise<number> => {
  const children = await childrenOf(postmaster)
  // One that ends in between is counted with its parent.
  const living = await Promise.all(children.map((child) => orNull(async () => (await readStat(child)).own)))
  return (
    (await readStat(postmaster)).withEndedChildren + living.reduce<number>((sum, own) => sum + (own ?? 0), 0)
  )
}

const ofThisProcess = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}

export const make: Effect.Effect<ReadProcessorTimes, never, Servers | Scope.Scope> = Effect.gen(function* () {
  const valkey = yield* connections.valkey
  const postgres = yield* connections.postgres
  const postmaster = yield* Effect.promise(async () => {
    const { rows } = await postgres.query<{ readonly pid: number }>("SELECT pg_backend_pid() AS pid")
    return orNull(async () => (await readStat(rows[0]!.pid)).parent)
  })
  const ofValkey = async (): Promise<number> => {
    const info = await connections.valkeyInfo(valkey, "cpu")
    return (Number(info.get("used_cpu_user")) + Number(info.get("used_cpu_sys"))) * 1e6
  }
  return (daemon) =>
    Effect.promise(async () => ({
      valkey: await ofValkey(),
      postgresql: postmaster === null ? null : await orNull(() => ofPostgres(postmaster)),
      daemon: daemon === undefined ? null : await orNull(async () => (await readStat(daemon)).own),
      client: ofThisProcess(),
    }))
})

const difference = (before: number | null, after: number | null): number | null =>
  before === null || after === null ? null : after - before

/** What was used in between, for one of `amount`. */
export const perUnit = (before: ProcessorTimes, after: ProcessorTimes, amount: number): ProcessorTimes => {
  const each = (name: "valkey" | "postgresql" | "daemon") => {
    const used = difference(before[name], after[name])
    return used === null ? null : used / amount
  }
  return {
    client: (after.client - before.client) / amount,
    valkey: each("valkey"),
    postgresql: each("postgresql"),
    daemon: each("daemon"),
  }
}
