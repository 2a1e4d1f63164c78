/** Commands on the running system: `flush`, `status`, `rate-limit`, `events`. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Chunk, Effect, Option, Schedule, Stream } from "effect"
import { InvalidRateLimitSettings } from "../../domain/Errors.ts"
import { type Event, type RecordedEvent } from "../../domain/Event.ts"
import { queueNames } from "../../domain/Message.ts"
import { RateLimitSettings } from "../../domain/RateLimit.ts"
import { decodeWithProblems } from "../../domain/Validation.ts"
import { encodeEvent } from "../../http/Journal.ts"
import { eventTypes } from "../../layers/eventData.ts"
import { PartlyFailed, UsageError } from "../Errors.ts"
import type { OperationError, Status } from "../Operations.ts"
import { common, withOperations } from "../options.ts"
import { type Cell, cell, print, record, style, table, write } from "../Output.ts"
import { limit } from "./messages.ts"

export const flush = Command.make("flush", common, (options) =>
  Effect.gen(function* () {
    const flushed = yield* withOperations(options, (operations) => operations.flush)
    yield* print(options.json, flushed, () =>
      table(
        ["queue", "persisted", "duplicates", "quarantined", "deleted", "remaining"],
        queueNames.map((queue) => {
          const { persisted, duplicates, quarantined, deleted, remaining } = flushed[queue]
          return [queue, persisted, duplicates, quarantined, deleted, remaining]
        }),
      ),
    )
  }),
).pipe(Command.withDescription("Moves both queues into PostgreSQL now."))

const colours = { ok: "green", degraded: "yellow", unavailable: "red" } as const

const seconds = (millis: number | null): Cell => (millis === null ? null : `${(millis / 1000).toFixed(1)} s`)

const statusText = (status: Status): string => {
  const { settings } = status
  return [
    style(colours[status.status], status.status),
    ...status.problems.map((problem) => `  ${problem}`),
    "",
    table(
      ["queue", "queued", "oldest", "persisted", "duplicates", "open", "replayed", "discarded", "outages"],
      queueNames.map((name) => {
        const queue = status.queues[name]
        const { open, replayed, discarded } = queue.quarantine
        const { length, persisted, duplicates, outages } = queue
        return [
          name,
          length,
          seconds(queue.oldest_age_ms),
          persisted,
          duplicates,
          open,
          replayed,
          discarded,
          outages,
        ]
      }),
    ),
    "",
    record([
      ["rate limit", `${settings.message_limit} messages in ${settings.window_seconds} s`],
      ["recent messages", settings.max_cache_size],
      ["longest queue", settings.max_queue_length],
      ["version", status.version],
      ["daemon", status.instance_id ?? "not asked: this is what the servers say"],
      ["started at", status.started_at],
    ]),
  ].join("\n")
}

export const status = Command.make("status", common, (options) =>
  Effect.gen(function* () {
    const report = yield* withOperations(options, (operations) => operations.status)
    yield* print(options.json, report, () => statusText(report))
    if (report.status === "unavailable") {
      return yield* new PartlyFailed({ reason: "Messages cannot be taken." })
    }
  }),
).pipe(
  Command.withDescription("Shows what is queued, stored and wrong. Fails when messages cannot be taken."),
)

const settingsText = ({ message_limit, window_seconds }: RateLimitSettings): string =>
  `${message_limit} messages of one user in ${window_seconds} seconds.`

const rateLimitGet = Command.make("get", common, (options) =>
  Effect.gen(function* () {
    const settings = yield* withOperations(options, ({ rateLimit }) => rateLimit)
    yield* print(options.json, settings, () => settingsText(settings))
  }),
).pipe(Command.withDescription("Shows the rate limit in force."))

const decodeSettings = decodeWithProblems(RateLimitSettings)

const rateLimitSet = Command.make(
  "set",
  {
    message_limit: Args.integer({ name: "messages" }).pipe(Args.withDescription("Messages of one user…")),
    window_seconds: Args.integer({ name: "seconds" }).pipe(Args.withDescription("… in so many seconds.")),
    ...common,
  },
  ({ message_limit, window_seconds, ...options }) =>
    Effect.gen(function* () {
      const wanted = yield* decodeSettings({ message_limit, window_seconds }).pipe(
        Effect.mapError((problems) => new InvalidRateLimitSettings({ problems })),
      )
      const settings = yield* withOperations(options, ({ updateRateLimit }) => updateRateLimit(wanted))
      yield* print(options.json, settings, () => settingsText(settings))
    }),
).pipe(Command.withDescription("Changes the rate limit, for every process and from the next message on."))

export const rateLimit = Command.make("rate-limit").pipe(
  Command.withDescription("How fast each user may send."),
  Command.withSubcommands([rateLimitGet, rateLimitSet]),
)

const eventDetails = (event: Event): string => {
  const { _tag, ...fields } = { ...event }
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ")
}

const eventLine = ({ position, recorded_at, event }: RecordedEvent): ReadonlyArray<Cell> => [
  position,
  recorded_at,
  event._tag,
  eventDetails(event),
]

/** The journal without end: what has been recorded since is read every second. */
const followed = (
  read: (after: number) => Stream.Stream<RecordedEvent, OperationError>,
  after: number,
): Stream.Stream<RecordedEvent, OperationError> => {
  let position = after
  return Stream.suspend(() => read(position)).pipe(
    Stream.tap((recorded) =>
      Effect.sync(() => {
        position = recorded.position
      }),
    ),
    Stream.repeat(Schedule.spaced("1 second")),
  )
}

export const events = Command.make(
  "events",
  {
    after: Options.integer("after").pipe(
      Options.withDescription("Those after this position, from the oldest on. Otherwise the newest ones."),
      Options.optional,
    ),
    limit: limit.pipe(Options.withDefault(50)),
    type: Options.text("type").pipe(
      Options.withDescription(`Only events of this type: ${eventTypes.join(", ")}.`),
      Options.optional,
    ),
    follow: Options.boolean("follow").pipe(
      Options.withAlias("f"),
      Options.withDescription("Go on with what is recorded from now on. With --json, one document per line."),
    ),
    ...common,
  },
  ({ after, limit: most, type, follow, ...options }) =>
    Effect.gen(function* () {
      if (Option.isSome(type) && !eventTypes.includes(type.value)) {
        return yield* new UsageError({ reason: `--type must be one of ${eventTypes.join(", ")}.` })
      }
      const isWanted = ({ event }: RecordedEvent) => Option.isNone(type) || event._tag === type.value
      yield* withOperations(options, (operations) =>
        Effect.gen(function* () {
          const wanted = operations.events(Option.getOrElse(after, () => 0)).pipe(Stream.filter(isWanted))
          const shown = Option.isSome(after) ? Stream.take(wanted, most) : Stream.takeRight(wanted, most)
          if (!follow) {
            const found = Chunk.toReadonlyArray(yield* Stream.runCollect(shown))
            return yield* print(options.json, { events: found.map((event) => encodeEvent(event)) }, () =>
              table(["position", "recorded_at", "type", ""], found.map(eventLine)),
            )
          }
          process.exitCode = 0
          const line = (recorded: RecordedEvent) =>
            write(
              options.json ? JSON.stringify(encodeEvent(recorded)) : eventLine(recorded).map(cell).join("  "),
            )
          let last = Option.getOrElse(after, () => 0)
          if (Option.isNone(after)) {
            // The newest ones first, to go on from the last of all, whatever its type.
            const all = yield* operations
              .events(0)
              .pipe(Stream.takeRight(most), Stream.runCollect, Effect.map(Chunk.toReadonlyArray))
            yield* Effect.forEach(all.filter(isWanted), line)
            last = all.at(-1)?.position ?? 0
          }
          yield* followed(operations.events, last).pipe(Stream.filter(isWanted), Stream.runForEach(line))
        }),
      )
    }),
).pipe(Command.withDescription("Shows the journal: what happened, in order."))
