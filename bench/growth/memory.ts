import { Effect, Schedule } from "effect"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { check } from "../support/check.ts"
import * as connections from "../support/connections.ts"
import * as DaemonProcess from "../support/DaemonProcess.ts"
import { fillQueue } from "../support/lists.ts"
import * as processMemory from "../support/processMemory.ts"
import type { Contestant, MakeQuestion, Servers } from "../support/Question.ts"
import * as tables from "../support/tables.ts"

const backlogByDefault = 1_000_000

/** How much memory a daemon needs to work off a long queue. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    yield* tables.migrate
    const client = yield* connections.valkey
    const postgres = yield* connections.postgres
    const servers = yield* Effect.context<Servers>()
    const backlog = options.messages ?? backlogByDefault

    const enter = (queued: number): Contestant => {
      const keyPrefix = `bench:growth:memory:${queued}:`
      const { flushQueue, counter } = Keys.make(keyPrefix)
      const isEmpty = Effect.promise(async () => (await client.llen(flushQueue.public)) === 0)
      return {
        name: queued === 0 ? "idle daemon" : `daemon that works off ${queued} messages`,
        baseline: queued === 0 ? undefined : "idle daemon",
        amount: Math.max(1, queued),
        prepare: Effect.promise(async () => {
          await tables.empty(postgres)
          await fillQueue(client, flushQueue.public, queued, options)
          await client.set(counter.public, queued)
        }).pipe(Effect.zipRight(connections.rewriteAppendOnlyFile(client))),
        run: DaemonProcess.start(keyPrefix, DaemonProcess.daemon, {
          // The first look at the queue finds it long enough, whatever its length.
          CHAT_CACHE_MAX_CACHE_SIZE: "1",
        }).pipe(
          Effect.flatMap(({ pid }) =>
            isEmpty.pipe(
              Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: (empty) => empty }),
              Effect.timeout("30 minutes"),
              Effect.orDie,
              Effect.zipRight(Effect.promise(() => processMemory.peak(pid))),
            ),
          ),
          Effect.map((value) => ({ value })),
          Effect.scoped,
          Effect.provide(servers),
        ),
        check: check(async () => {
          const rows = await tables.countRows(postgres)
          const texts = await tables.countTexts(postgres)
          return rows === queued && texts === queued
            ? undefined
            : `${queued} messages were queued: there are ${rows} rows of ${texts} messages`
        }),
      }
    }

    return {
      name: "growth, memory",
      asks: "how much memory does the daemon need at most, idle and with a long queue?",
      unit: "MiB",
      better: "lower",
      amount: backlog,
      conditions: ["resident memory at its peak, from the start on", "the daemon is a process of its own"],
      doesNotShow:
        "Memory of Valkey and PostgreSQL; messages longer than these; publishing at the same time.",
      contestants: [0, backlog].map(enter),
      needsNoWarmUp: true,
      maximumRepetitions: 2,
    }
  })
