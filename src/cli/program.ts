import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Exit, Layer, Logger } from "effect"
import * as FileConfigProvider from "../layers/FileConfigProvider.ts"
import { version } from "../layers/version.ts"
import { deleteCommand, history, privateCaches, recent, send } from "./commands/messages.ts"
import { events, flush, rateLimit, status } from "./commands/operation.ts"
import { doctor } from "./commands/doctor.ts"
import { importCommand } from "./commands/import.ts"
import { migrate } from "./commands/migrate.ts"
import { quarantine } from "./commands/quarantine.ts"
import { serve } from "./commands/serve.ts"
import { footerOf } from "./examples.ts"
import * as Failure from "./Failure.ts"
import { tidy } from "./help.ts"
import { plain, write } from "./Output.ts"
import { quiet } from "./quiet.ts"

const words = process.argv.slice(2)
const json = words.includes("--json")

const chatCache = Command.make("chat-cache").pipe(
  Command.withDescription(
    "Takes chat messages, keeps the recent ones in Valkey and moves everything into PostgreSQL.",
  ),
  Command.withSubcommands([
    serve,
    send,
    recent,
    history,
    flush,
    status,
    rateLimit,
    quarantine,
    privateCaches,
    deleteCommand,
    events,
    migrate,
    doctor,
    importCommand,
  ]),
)

/** Help goes to standard output. Errors are told once, by `report`, in the form that was asked for. */
const console = Effect.map(Effect.console, (standard) => ({
  ...standard,
  log: (text: unknown) => write(tidy(plain(String(text)), words)),
  error: () => Effect.void,
}))

const report = (exit: Exit.Exit<void, unknown>) => {
  const message = Exit.isFailure(exit) ? Failure.messageOf(exit.cause, json) : undefined
  return message === undefined ? Effect.void : write(message, process.stderr)
}

const run = Command.run(chatCache, {
  name: "chat-cache",
  version,
  executable: "chat-cache",
  footer: footerOf(words),
})

// A reader such as `head` may leave before everything is said.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? Failure.exitCodes.ok : Failure.exitCodes.failed)
})

Effect.flatMap(console, (ours) => run(process.argv).pipe(Console.withConsole(ours))).pipe(
  Effect.provide(
    Layer.mergeAll(
      NodeContext.layer,
      CliConfig.layer({ isCaseSensitive: true }),
      FileConfigProvider.layer(process.env),
      Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.stringLogger)),
    ),
  ),
  Logger.withMinimumLogLevel(quiet),
  Effect.onExit(report),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, onExit) =>
      onExit(Exit.isSuccess(exit) ? Failure.exitCodes.ok : Failure.exitCodeOf(exit.cause)),
  }),
)
