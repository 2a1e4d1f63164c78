import { Config, ConfigError, Effect, Option, Redacted } from "effect"
import { readFile } from "node:fs/promises"

const inFile = (file: string) =>
  Effect.tryPromise({
    try: async () => Redacted.make((await readFile(file, "utf8")).trim()),
    catch: (error) =>
      ConfigError.InvalidData(
        ["CHAT_CACHE_API_TOKEN_FILE"],
        `cannot be read (${(error as NodeJS.ErrnoException).code})`,
      ),
  })

/** The token that a daemon wants to see: from `CHAT_CACHE_API_TOKEN`, or from the file that `…_FILE` names. */
export const apiToken = Effect.gen(function* () {
  const token = yield* Config.option(Config.redacted("CHAT_CACHE_API_TOKEN"))
  if (Option.isSome(token)) return token
  const file = yield* Config.option(Config.nonEmptyString("CHAT_CACHE_API_TOKEN_FILE"))
  return Option.isSome(file) ? Option.some(yield* inFile(file.value)) : Option.none()
})
