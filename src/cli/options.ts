/** What all commands have in common: how they answer, and whom they ask. */
import * as Options from "@effect/cli/Options"
import { Effect, Layer, Option } from "effect"
import { UsageError } from "./Errors.ts"
import { type ConnectionError, Operations } from "./Operations.ts"

export const json = Options.boolean("json").pipe(
  Options.withDescription("Print one JSON document; errors are JSON on standard error, too."),
)

const url = Options.text("url").pipe(
  Options.withDescription(
    "Ask the daemon at this address, such as http://127.0.0.1:8080, with the token of CHAT_CACHE_API_TOKEN or CHAT_CACHE_API_TOKEN_FILE. Otherwise the command goes to the servers itself: VALKEY_URL and DATABASE_URL, or those of the daemon that runs on CHAT_CACHE_DATA_DIR.",
  ),
  Options.optional,
)

export const yes = Options.boolean("yes").pipe(
  Options.withAlias("y"),
  Options.withDescription("Do not ask whether it is meant. Needed where there is no terminal to ask on."),
)

/** The options of every command that can ask a daemon. */
export const common = { json, url }

const isHttpUrl = (text: string): boolean => ["http:", "https:"].includes(URL.parse(text)?.protocol ?? "")

// What is not needed is not loaded: most of the time that a short command takes is that of loading.
const layerOf = (daemon: Option.Option<string>): Layer.Layer<Operations, ConnectionError | UsageError> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      if (Option.isNone(daemon)) {
        const { layer } = yield* Effect.promise(() => import("./OperationsDirect.ts"))
        return layer as Layer.Layer<Operations, ConnectionError | UsageError>
      }
      if (!isHttpUrl(daemon.value)) {
        return yield* new UsageError({ reason: "--url must be an address such as http://127.0.0.1:8080." })
      }
      const { layer } = yield* Effect.promise(() => import("./OperationsHttp.ts"))
      return layer(daemon.value)
    }),
  )

/** Runs a command with whoever it asks. */
export const withOperations = <A, E, R>(
  { url: daemon }: { readonly url: Option.Option<string> },
  use: (operations: Operations["Type"]) => Effect.Effect<A, E, R>,
) => Effect.flatMap(Operations, use).pipe(Effect.provide(layerOf(daemon)))
