/** The application of `examples/embedded`, as a process on real servers. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { promisify } from "node:util"
import { inject } from "vitest"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import * as Example from "../support/ExampleProcess.ts"
import { freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

const servers = Layer.merge(valkeyShared, freshDatabase)

it.live("publishes, reads, handles an error, and stores everything before it ends", () =>
  Effect.gen(function* () {
    const example = yield* Example.run("embedded", { CHAT_CACHE_KEY_PREFIX: yield* uniqueKeyPrefix })
    assert.strictEqual(yield* example.exited, 0, yield* example.output)
    const output = yield* example.output
    for (const line of [
      "ada: Hello, everybody\n",
      "grace: Hello, Ada\n",
      "grace to ada: Lunch?\n",
      "The message was not taken: channel must not be empty.\n",
      "Status ok: 2 public and 1 private messages wait for PostgreSQL, at most 30 seconds.\n",
      "Stopped: 2 public and 1 private messages are in PostgreSQL.\n",
    ]) {
      assert.include(output, line)
    }
    const { url } = yield* PostgresServer
    assert.deepStrictEqual(
      yield* query(url, "SELECT username, channel, message FROM chat_messages ORDER BY cache_id"),
      [
        { username: "ada", channel: "general", message: "Hello, everybody" },
        { username: "grace", channel: "general", message: "Hello, Ada" },
      ],
    )
    assert.deepStrictEqual(yield* query(url, "SELECT username, recipient, message FROM private_messages"), [
      { username: "grace", recipient: "ada", message: "Lunch?" },
    ])
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

const processesWith = (text: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const { stdout } = await promisify(execFile)("ps", ["-e", "-o", "args="])
    return stdout
      .split("\n")
      .filter((line) => line.includes(text))
      .join("\n")
  })

it.live(
  "without servers it brings its own, and leaves neither files nor processes",
  () =>
    Effect.gen(function* () {
      const directory = yield* Effect.promise(async () => {
        const made = await fs.mkdtemp(path.join(inject("temporaryDirectory"), "example-"))
        await fs.chmod(made, 0o755)
        return made
      })
      const example = yield* Example.run("embedded", {
        TMPDIR: directory,
        VALKEY_URL: undefined,
        DATABASE_URL: undefined,
      })
      assert.strictEqual(yield* example.exited, 0, yield* example.output)
      assert.include(yield* example.output, "2 public and 1 private messages are in PostgreSQL")
      assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(directory)), [])
      assert.strictEqual(yield* processesWith(directory), "")
    }).pipe(Effect.scoped, Effect.provide(servers)),
  120_000,
)
