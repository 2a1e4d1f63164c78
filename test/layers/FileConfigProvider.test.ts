import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigError, Effect, Either, Option, Redacted } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { inject } from "vitest"
import * as FileConfigProvider from "../../src/layers/FileConfigProvider.ts"

const directory = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(inject("temporaryDirectory"), "settings-"))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true })),
)

const write = (file: string, content: string) =>
  Effect.as(
    Effect.promise(() => fs.writeFile(file, content)),
    file,
  )

const load = <A>(config: Config.Config<A>, environment: Record<string, string>) =>
  Effect.flatMap(FileConfigProvider.make(environment), (provider) => provider.load(config))

const secret = Config.redacted("DATABASE_URL")

describe("a setting", () => {
  it.scoped("is read from the environment, from a file, or from a credential of systemd", () =>
    Effect.gen(function* () {
      const folder = yield* directory
      const file = yield* write(path.join(folder, "DATABASE_URL"), "from a file\n")
      for (const [environment, expected] of [
        [{ DATABASE_URL: "from the environment\n" }, "from the environment\n"],
        [{ DATABASE_URL_FILE: file }, "from a file"],
        [{ CREDENTIALS_DIRECTORY: folder }, "from a file"],
      ] as ReadonlyArray<readonly [Record<string, string>, string]>) {
        assert.strictEqual(Redacted.value(yield* load(secret, environment)), expected)
      }
      yield* write(file, "5")
      assert.strictEqual(yield* load(Config.integer("DATABASE_URL"), { DATABASE_URL_FILE: file }), 5)
    }),
  )

  for (const [title, content, expected] of [
    ["the line break at its end", "a b\n", "a b"],
    ["the line break of Windows at its end", "a b\r\n", "a b"],
    ["nothing else", " a\nb \n\n", " a\nb \n"],
  ] as const) {
    it.scoped(`in a file is without ${title}`, () =>
      Effect.gen(function* () {
        const file = yield* write(path.join(yield* directory, "file"), content)
        assert.strictEqual(Redacted.value(yield* load(secret, { DATABASE_URL_FILE: file })), expected)
      }),
    )
  }

  it.scoped("that is nowhere is absent, so that its default holds", () =>
    Effect.gen(function* () {
      const environment = { CREDENTIALS_DIRECTORY: yield* directory }
      assert.isTrue(Option.isNone(yield* load(Config.option(secret), environment)))
      assert.isTrue(ConfigError.isMissingData(yield* Effect.flip(load(secret, environment))))
    }),
  )

  it.scoped("in a file that is empty, not there or a folder is refused with the name of the file", () =>
    Effect.gen(function* () {
      const folder = yield* directory
      const empty = yield* write(path.join(folder, "empty"), "\n")
      for (const [file, reason] of [
        [empty, "empty"],
        [path.join(folder, "nowhere"), "ENOENT"],
        [folder, "EISDIR"],
      ] as const) {
        // A default must not hide it.
        const error = yield* Effect.flip(load(Config.option(secret), { DATABASE_URL_FILE: file }))
        assert.include(String(error), "DATABASE_URL_FILE")
        assert.include(String(error), file)
        assert.include(String(error), reason)
      }
    }),
  )

  it("of another program may end like ours", () => {
    const made = FileConfigProvider.make({ NGINX_FILE: "/nowhere", CHAT_CACHE: "x", _FILE: "/nowhere" })
    assert.isTrue(Either.isRight(made))
  })

  it("is refused with the name of a folder of credentials that is not there", () => {
    const made = FileConfigProvider.make({ CREDENTIALS_DIRECTORY: "/nowhere" })
    assert.include(String(Option.getOrUndefined(Either.getLeft(made))), "/nowhere")
  })

  it.scoped("that is given twice is refused, without what it is", () =>
    Effect.gen(function* () {
      const folder = yield* directory
      const file = yield* write(path.join(folder, "DATABASE_URL"), "canary")
      for (const environment of [
        { DATABASE_URL: "canary", DATABASE_URL_FILE: file },
        { DATABASE_URL: "canary", CREDENTIALS_DIRECTORY: folder },
        { DATABASE_URL_FILE: file, CREDENTIALS_DIRECTORY: folder },
      ] as ReadonlyArray<Record<string, string>>) {
        const error = String(yield* Effect.flip(load(Config.option(secret), environment)))
        assert.include(error, "use one of them alone")
        assert.notInclude(error, "canary")
      }
    }),
  )
})
