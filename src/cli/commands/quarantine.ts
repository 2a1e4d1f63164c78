/** Commands on the messages that could not be stored. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Option } from "effect"
import { QuarantineReason } from "../../domain/Event.ts"
import { QueueName } from "../../domain/Message.ts"
import { QuarantineStatus } from "../../domain/Quarantine.ts"
import { confirm } from "../confirm.ts"
import { editJson, readJsonFile } from "../editor.ts"
import { PartlyFailed, UsageError } from "../Errors.ts"
import type { OperationError, Operations, QuarantineEntry } from "../Operations.ts"
import { common, withOperations, yes } from "../options.ts"
import { cut, print, record, style, table } from "../Output.ts"
import * as Progress from "../Progress.ts"
import { limit } from "./messages.ts"

const pageSize = 500

/** Each replay is a transaction of its own; a few at once keep the way to the server busy. */
const concurrency = 4

const filters = {
  queue: Options.choice("queue", QueueName.literals).pipe(
    Options.withDescription("Only messages of this queue."),
    Options.optional,
  ),
  reason: Options.choice("reason", QuarantineReason.literals).pipe(
    Options.withDescription("Only messages that were quarantined for this reason."),
    Options.optional,
  ),
}

interface Filters {
  readonly queue: Option.Option<QueueName>
  readonly reason: Option.Option<QuarantineReason>
}

/** Reads page after page until it has so many that are wanted. */
const matching = Effect.fnUntraced(function* (
  { quarantine }: Operations["Type"],
  filter: Filters,
  options: { readonly status: QuarantineStatus; readonly after: number; readonly most: number },
) {
  const found: Array<QuarantineEntry> = []
  let after = options.after
  while (found.length < options.most) {
    const page = yield* quarantine.list({
      queue: Option.getOrUndefined(filter.queue),
      status: options.status,
      after,
      limit: pageSize,
    })
    for (const entry of page) {
      if (Option.isNone(filter.reason) || entry.reason === filter.reason.value) found.push(entry)
    }
    if (page.length < pageSize) break
    after = page.at(-1)!.id
  }
  return found.slice(0, options.most)
})

const list = Command.make(
  "list",
  {
    ...filters,
    status: Options.choice("status", QuarantineStatus.literals).pipe(
      Options.withDescription("Only messages of which this became. Open ones unless given."),
      Options.withDefault("open" as const),
    ),
    after: Options.integer("after").pipe(
      Options.withDescription("Only those with a greater id."),
      Options.withDefault(0),
    ),
    limit: limit.pipe(Options.withDefault(100)),
    ...common,
  },
  ({ queue, reason, status, after, limit: most, ...options }) =>
    Effect.gen(function* () {
      const entries = yield* withOperations(options, (operations) =>
        matching(operations, { queue, reason }, { status, after, most }),
      )
      yield* print(options.json, { entries }, () =>
        entries.length === 0
          ? `Nothing in the quarantine is ${status}.`
          : table(
              ["id", "queue", "cache_id", "reason", "quarantined_at", "error"],
              entries.map((entry) => [
                entry.id,
                entry.queue,
                entry.cache_id,
                entry.reason,
                entry.quarantined_at,
                cut(entry.error),
              ]),
            ),
      )
    }),
).pipe(Command.withDescription("Lists quarantined messages, by ascending id."))

const idArgument = Args.integer({ name: "id" }).pipe(Args.withDescription("The id of a quarantined message."))

const show = Command.make("show", { id: idArgument, ...common }, ({ id, ...options }) =>
  Effect.gen(function* () {
    const entry = yield* withOperations(options, ({ quarantine }) => quarantine.show(id))
    yield* print(options.json, entry, () => record(Object.entries(entry)))
  }),
).pipe(Command.withDescription("Shows a quarantined message with its bytes as they were found."))

type Failure = OperationError
interface Outcome {
  readonly id: number
  readonly error?: Failure
}

/** Errors of the servers and not of one message: what comes after would fail the same way. */
const isOutage = ({ _tag }: Failure): boolean =>
  [
    "StoreUnavailable",
    "StoreMisconfigured",
    "CacheUnavailable",
    "DaemonUnreachable",
    "Unauthorized",
  ].includes(_tag)

/** Does it to one after the other, and stops where going on makes no sense. */
const forAll = Effect.fnUntraced(function* (
  label: string,
  ids: ReadonlyArray<number>,
  act: (id: number) => Effect.Effect<unknown, Failure>,
) {
  const progress = Progress.make(label, ids.length)
  const outcomes: Array<Outcome> = []
  let stopped = false
  yield* Effect.forEach(
    ids,
    Effect.fnUntraced(function* (id) {
      if (stopped) return
      const result = yield* Effect.either(act(id))
      if (result._tag === "Left" && isOutage(result.left)) stopped = true
      outcomes.push(result._tag === "Left" ? { id, error: result.left } : { id })
      yield* progress.advance(1)
    }),
    { concurrency, discard: true },
  )
  yield* progress.clear
  return outcomes.toSorted((first, second) => first.id - second.id)
})

const report = Effect.fnUntraced(function* (
  json: boolean,
  done: "replayed" | "discarded",
  ids: ReadonlyArray<number>,
  outcomes: ReadonlyArray<Outcome>,
) {
  const succeeded = outcomes.filter(({ error }) => error === undefined).map(({ id }) => id)
  const failed = outcomes.flatMap(({ id, error }) =>
    error === undefined ? [] : [{ id, _tag: error._tag, message: error.message }],
  )
  const untried = ids.length - outcomes.length
  yield* print(json, { [done]: succeeded, failed, untried }, () =>
    [
      `${succeeded.length} ${done}, ${failed.length} failed${untried === 0 ? "" : `, ${untried} not tried`}.`,
      ...(failed.length === 0
        ? []
        : [
            table(
              ["id", "error", ""],
              failed.map(({ id, _tag, message }) => [id, style("red", _tag), message]),
            ),
          ]),
    ].join("\n"),
  )
  if (failed.length + untried > 0) {
    return yield* new PartlyFailed({
      reason: `${failed.length + untried} of ${ids.length} messages were not ${done}.`,
    })
  }
})

const selection = {
  ids: idArgument.pipe(Args.repeated),
  all: Options.boolean("all").pipe(
    Options.withDescription("All open messages, or those that --queue and --reason choose."),
  ),
  ...filters,
}

interface Selection extends Filters {
  readonly ids: ReadonlyArray<number>
  readonly all: boolean
}

const selected = Effect.fnUntraced(function* (
  operations: Operations["Type"],
  { ids, all, ...filter }: Selection,
) {
  const isFiltered = Option.isSome(filter.queue) || Option.isSome(filter.reason)
  if (ids.length > 0 && !all && !isFiltered) return [...new Set(ids)]
  if (ids.length > 0 || !(all || isFiltered)) {
    return yield* new UsageError({ reason: "Give the ids of messages, or --all, or --queue and --reason." })
  }
  const entries = yield* matching(operations, filter, { status: "open", after: 0, most: Infinity })
  return entries.map(({ id }) => id)
})

/** What there is to correct: the message where it can be read, otherwise what the bytes say. */
const template = ({ raw }: QuarantineEntry): string => {
  try {
    const { data } = JSON.parse(raw) as { readonly data?: unknown }
    return `${JSON.stringify(data ?? raw, null, 2)}\n`
  } catch {
    return `${JSON.stringify(raw, null, 2)}\n`
  }
}

const replay = Command.make(
  "replay",
  {
    ...selection,
    file: Options.text("file").pipe(
      Options.withDescription("A file with a corrected message as JSON, for one id."),
      Options.optional,
    ),
    edit: Options.boolean("edit").pipe(
      Options.withDescription("Correct the message in $VISUAL or $EDITOR, for one id."),
    ),
    ...common,
  },
  ({ ids, all, queue, reason, file, edit, ...options }) =>
    withOperations(options, (operations) =>
      Effect.gen(function* () {
        const chosen = { ids, all, queue, reason }
        if (!edit && Option.isNone(file)) {
          const wanted = yield* selected(operations, chosen)
          const outcomes = yield* forAll("Replaying", wanted, (id) => operations.quarantine.replay(id))
          return yield* report(options.json, "replayed", wanted, outcomes)
        }
        const [id] = ids
        if (id === undefined || ids.length > 1 || all || (edit && Option.isSome(file))) {
          return yield* new UsageError({
            reason: "A correction is for one id: give that, and --file or --edit.",
          })
        }
        const correction = Option.isSome(file)
          ? yield* readJsonFile(file.value)
          : yield* editJson(`quarantine-${id}`, template(yield* operations.quarantine.show(id)))
        const entry = yield* operations.quarantine.replay(id, correction)
        yield* print(
          options.json,
          { replayed: [entry.id], failed: [], untried: 0 },
          () => "1 replayed, 0 failed.",
        )
      }),
    ),
).pipe(Command.withDescription("Stores quarantined messages after all, as they were or corrected."))

const discard = Command.make(
  "discard",
  { ...selection, yes, ...common },
  ({ yes: isConfirmed, ids, all, queue, reason, ...options }) =>
    withOperations(options, (operations) =>
      Effect.gen(function* () {
        const wanted = yield* selected(operations, { ids, all, queue, reason })
        if (wanted.length > 1 || (ids.length === 0 && wanted.length > 0)) {
          yield* confirm(`This discards ${wanted.length} quarantined messages`, isConfirmed)
        }
        const outcomes = yield* forAll("Discarding", wanted, (id) => operations.quarantine.discard(id))
        yield* report(options.json, "discarded", wanted, outcomes)
      }),
    ),
).pipe(Command.withDescription("Closes quarantined messages without storing them. Their bytes are kept."))

export const quarantine = Command.make("quarantine").pipe(
  Command.withDescription("The messages that could not be stored."),
  Command.withSubcommands([list, show, replay, discard]),
)
