/** Commands on messages: `send`, `recent`, `history`, `delete`, `private clear`. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Option } from "effect"
import { text as readText } from "node:stream/consumers"
import type { CachedMessage } from "../../domain/Message.ts"
import { confirm } from "../confirm.ts"
import { UsageError } from "../Errors.ts"
import { common, withOperations, yes } from "../options.ts"
import { cut, print, record, table } from "../Output.ts"

const optionalText = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.optional)

const present = <A>(fields: Record<string, Option.Option<A>>): Record<string, A> =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (Option.isSome(value) ? [[name, value.value]] : [])),
  )

const messageText = (given: Option.Option<string>) =>
  Option.match(given, {
    onSome: Effect.succeed,
    onNone: () =>
      process.stdin.isTTY === true
        ? Effect.fail(new UsageError({ reason: "Give the text of the message, or pipe it in." }))
        : Effect.map(
            Effect.promise(() => readText(process.stdin)),
            (text) => text.replace(/\r?\n$/, ""),
          ),
  })

export const send = Command.make(
  "send",
  {
    text: Args.text({ name: "text" }).pipe(
      Args.withDescription("The message. Read from standard input when left out."),
      Args.optional,
    ),
    owner_id: Options.text("owner-id").pipe(
      Options.withDescription("Who sends it, whose rate limit counts it."),
    ),
    username: Options.text("username").pipe(Options.withDescription("The name of who sends it.")),
    channel: optionalText("channel", "Where a public message goes."),
    recipient_id: optionalText("recipient-id", "Whom a private message goes to."),
    recipient: optionalText("recipient", "The name of whom it goes to."),
    message_id: optionalText("message-id", "A UUID. Sending it again with the same one stores it once."),
    authored_at: optionalText(
      "authored-at",
      "When it was written, such as 2026-03-01T12:00:00Z. Now unless given.",
    ),
    ...common,
  },
  ({ text, owner_id, username, channel, recipient_id, recipient, message_id, authored_at, ...options }) =>
    Effect.gen(function* () {
      const isPrivate = Option.isSome(recipient_id) || Option.isSome(recipient)
      if (isPrivate === Option.isSome(channel)) {
        return yield* new UsageError({
          reason: "Give --channel for a public message, or --recipient-id and --recipient for a private one.",
        })
      }
      const draft = {
        owner_id,
        username,
        message: yield* messageText(text),
        ...present({ channel, recipient_id, recipient, message_id, authored_at }),
      }
      const accepted = yield* withOperations(options, ({ publish }) =>
        publish(isPrivate ? "private" : "public", draft),
      )
      yield* print(options.json, accepted, () => record(Object.entries(accepted)))
    }),
).pipe(Command.withDescription("Sends a message."))

export const deleteCommand = Command.make(
  "delete",
  {
    id: Args.text({ name: "message-id" }).pipe(Args.withDescription("The message_id of the message.")),
    isPrivate: Options.boolean("private").pipe(Options.withDescription("It is a private message.")),
    yes,
    ...common,
  },
  ({ id, isPrivate, yes: isConfirmed, ...options }) =>
    Effect.gen(function* () {
      yield* confirm("This deletes the message for good", isConfirmed)
      yield* withOperations(options, (operations) => operations.delete(isPrivate ? "private" : "public", id))
      yield* print(options.json, { deleted: id }, () => "The message is deleted.")
    }),
).pipe(Command.withDescription("Deletes a message for good: from caches, queue and table."))

const messageRows = (messages: ReadonlyArray<CachedMessage>, isPrivate: boolean) =>
  table(
    ["cache_id", "authored_at", "username", isPrivate ? "recipient" : "channel", "message"],
    messages.map((message) => [
      message.cache_id,
      message.authored_at,
      message.username,
      "channel" in message ? message.channel : message.recipient,
      cut(message.message),
    ]),
  )

export const limit = Options.integer("limit").pipe(
  Options.withDescription("At most so many."),
  Options.filterMap(
    (value) => (value >= 1 ? Option.some(value) : Option.none()),
    "--limit must be an integer from 1 on",
  ),
)

const scope = {
  user: optionalText("user", "The private messages of this user instead of the public ones."),
  channel: optionalText("channel", "The public messages of this channel alone."),
}

const oneScope = (user: Option.Option<string>, channel: Option.Option<string>) =>
  Option.isSome(user) && Option.isSome(channel)
    ? Effect.fail(new UsageError({ reason: "Private messages have no channel: give --user or --channel." }))
    : Effect.void

export const recent = Command.make(
  "recent",
  {
    ...scope,
    limit: limit.pipe(Options.optional),
    ...common,
  },
  ({ user, channel, limit: most, ...options }) =>
    Effect.gen(function* () {
      yield* oneScope(user, channel)
      const messages = yield* withOperations(options, (operations) =>
        operations.recent({
          user: Option.getOrUndefined(user),
          channel: Option.getOrUndefined(channel),
          limit: Option.getOrUndefined(most),
        }),
      )
      yield* print(options.json, { messages }, () =>
        messages.length === 0 ? "No recent messages." : messageRows(messages, Option.isSome(user)),
      )
    }),
).pipe(Command.withDescription("Shows the recent messages, oldest first."))

export const history = Command.make(
  "history",
  {
    ...scope,
    before: optionalText("before", "The page before this cursor, which another page has named."),
    after: optionalText("after", "The page after this cursor."),
    limit: limit.pipe(Options.withDefault(50)),
    ...common,
  },
  ({ user, channel, before, after, limit: most, ...options }) =>
    Effect.gen(function* () {
      yield* oneScope(user, channel)
      const page = yield* withOperations(options, (operations) =>
        operations.history({ limit: most, ...present({ user, channel, before, after }) }),
      )
      yield* print(options.json, page, () =>
        [
          page.messages.length === 0 ? "No messages." : messageRows(page.messages, Option.isSome(user)),
          ...(page.previous === undefined ? [] : [`Older ones: --before ${page.previous}`]),
          ...(page.next === undefined ? [] : [`Newer ones: --after ${page.next}`]),
        ].join("\n"),
      )
    }),
).pipe(Command.withDescription("Shows messages page by page, queued and stored ones, oldest first."))

const clear = Command.make(
  "clear",
  {
    user: Args.text({ name: "user" }).pipe(Args.withDescription("Whose cache."), Args.optional),
    all: Options.boolean("all").pipe(Options.withDescription("The caches of all users.")),
    yes,
    ...common,
  },
  ({ user, all, yes: isConfirmed, ...options }) =>
    Effect.gen(function* () {
      if (all === Option.isSome(user)) {
        return yield* new UsageError({ reason: "Give one user, or --all." })
      }
      if (all) yield* confirm("This drops the private caches of all users", isConfirmed)
      const deleted = yield* withOperations(options, ({ clearPrivate }) =>
        clearPrivate(Option.getOrUndefined(user)),
      )
      yield* print(options.json, { deleted }, () => `${deleted} private caches dropped.`)
    }),
).pipe(
  Command.withDescription("Drops the private cache of a user, or of all. Queued and stored messages stay."),
)

export const privateCaches = Command.make("private").pipe(
  Command.withDescription("The caches of private messages."),
  Command.withSubcommands([clear]),
)
