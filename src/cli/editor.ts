import { Config, Effect, Option, Schema } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { FileUnusable, UsageError } from "./Errors.ts"

const decodeJson = Schema.decodeUnknown(Schema.parseJson())

export const readJsonFile = Effect.fnUntraced(function* (file: string) {
  const text = yield* Effect.tryPromise({
    try: () => fs.readFile(file, "utf8"),
    catch: (error) =>
      new FileUnusable({ file, reason: `cannot be read (${(error as NodeJS.ErrnoException).code})` }),
  })
  return yield* Effect.mapError(
    decodeJson(text),
    // The parser's own words would quote the message.
    () => new FileUnusable({ file, reason: "is not JSON" }),
  )
})

/** A command may bring its own arguments, such as `code --wait`: the shell takes it apart. */
const run = (editor: string, file: string): Promise<number | null> =>
  new Promise((resolve, reject) => {
    const child = spawn(`${editor} "$CHAT_CACHE_FILE"`, {
      stdio: "inherit",
      shell: true,
      env: { ...process.env, CHAT_CACHE_FILE: file },
    })
    child.once("error", reject)
    child.once("close", resolve)
  })

/**
 * Lets somebody change the text in `$VISUAL` or `$EDITOR`, in a file that only they can read, and reads it as JSON.
 * What they wrote is kept when it cannot be used.
 */
export const editJson = Effect.fnUntraced(function* (name: string, text: string) {
  const editor = yield* Config.option(
    Config.orElse(Config.nonEmptyString("VISUAL"), () => Config.nonEmptyString("EDITOR")),
  )
  if (Option.isNone(editor)) {
    return yield* new UsageError({ reason: "Set EDITOR to the program to edit with, or give --file." })
  }
  const directory = yield* Effect.promise(() => fs.mkdtemp(path.join(os.tmpdir(), "chat-cache-")))
  const file = path.join(directory, `${name}.json`)
  const code = yield* Effect.promise(async () => {
    await fs.writeFile(file, text, { mode: 0o600 })
    return run(editor.value, file)
  })
  if (code !== 0) return yield* new FileUnusable({ file, reason: `the editor ended with ${code}` })
  const edited = yield* readJsonFile(file)
  yield* Effect.promise(() => fs.rm(directory, { recursive: true, force: true }))
  return edited
})
