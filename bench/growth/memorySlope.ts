import { Effect, Schedule } from "effect"
import * as httpClient from "../http/client.ts"
import * as httpLoad from "../load/httpLoad.ts"
import { check } from "../support/check.ts"
import * as connections from "../support/connections.ts"
import * as DaemonProcess from "../support/DaemonProcess.ts"
import * as processMemory from "../support/processMemory.ts"
import type { Contestant, MakeQuestion, Servers } from "../support/Question.ts"
import * as tables from "../support/tables.ts"

const rate = 2000
const batch = 100
const sampleEvery = "250 millis"

interface Point {
  readonly minutes: number
  readonly mebibytes: number
}

/** Of the straight line that is nearest to the points (least squares). */
export const slopeOf = (points: ReadonlyArray<Point>): number => {
  const mean = (values: ReadonlyArray<number>) =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const x = mean(points.map(({ minutes }) => minutes))
  const y = mean(points.map(({ mebibytes }) => mebibytes))
  let above = 0
  let below = 0
  for (const { minutes, mebibytes } of points) {
    above += (minutes - x) * (mebibytes - y)
    below += (minutes - x) ** 2
  }
  return below === 0 ? 0 : above / below
}

/** The first half is the daemon warming up: its code is compiled and its heap grows to its working size. */
const secondHalf = (points: ReadonlyArray<Point>) => points.slice(Math.floor(points.length / 2))

/** Whether the memory of a daemon grows while nothing but time passes. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    yield* tables.migrate
    const postgres = yield* connections.postgres
    const client = yield* connections.valkey
    const servers = yield* Effect.context<Servers>()
    const seconds = options.messages === undefined ? options.seconds : Math.min(1, options.seconds)
    const keyPrefix = "bench:growth:slope:"
    let accepted = 0

    const watch = (pid: number, points: Array<Point>) =>
      Effect.promise(async () => {
        points.push({ minutes: performance.now() / 60_000, mebibytes: await processMemory.resident(pid) })
      }).pipe(Effect.repeat(Schedule.spaced(sampleEvery)))

    const isFlushed = Effect.promise(async () => (await tables.countRows(postgres)) >= accepted)

    const contestant: Contestant = {
      name: `daemon under ${rate} messages/s`,
      amount: rate * seconds,
      prepare: Effect.promise(() => tables.empty(postgres)).pipe(
        Effect.zipRight(connections.rewriteAppendOnlyFile(client)),
      ),
      run: Effect.gen(function* () {
        const { pid, url } = yield* DaemonProcess.start(keyPrefix, DaemonProcess.daemon, {
          // Nothing is to wait for a flush for minutes, however short the run.
          CHAT_CACHE_FLUSH_INTERVAL: "1 second",
        })
        const points: Array<Point> = []
        yield* Effect.forkScoped(watch(pid, points))
        const observed = httpLoad.observe()
        const load = { rate, seconds, batch, users: options.users, textLength: options.textLength }
        yield* httpLoad.run(yield* httpClient.open(url, 64), load, observed)
        const last = yield* Effect.promise(() => processMemory.resident(pid))
        accepted = observed.accepted
        yield* isFlushed.pipe(
          Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: (flushed) => flushed }),
          Effect.timeout("1 minute"),
          Effect.orDie,
        )
        return {
          value: slopeOf(secondHalf(points)),
          amount: accepted,
          remark: `${last.toFixed(0)} MiB at the end, ${observed.requests.dropped} requests not sent`,
        }
      }).pipe(Effect.scoped, Effect.provide(servers)),
      check: check(async () => {
        const rows = await tables.countRows(postgres)
        return rows === accepted ? undefined : `${accepted} messages were accepted, ${rows} are stored`
      }),
    }

    return {
      name: "growth, memory over time",
      asks: "does the daemon's memory grow while nothing but time passes?",
      unit: "MiB/min",
      better: "lower",
      amount: rate * seconds,
      conditions: [
        `${rate} messages/s over HTTP, ${batch} per request, for ${seconds} s`,
        "slope of the resident memory over the second half",
      ],
      doesNotShow: `What happens later than ${seconds} s: a heap grows until it is first cleared up as a whole, so that a run of less than some minutes says little.`,
      contestants: [contestant],
      needsNoWarmUp: true,
      maximumRepetitions: 1,
    }
  })
