/** The container files, as far as they can be judged without an engine: nothing is built and nothing is run. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { parse } from "yaml"

const project = (file: string): URL => new URL(`../../${file}`, import.meta.url)
const read = (file: string): string => fs.readFileSync(project(file), "utf8")

interface Service {
  readonly image?: string
  readonly build?: string
  readonly command?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly ports: ReadonlyArray<string>
  readonly healthcheck?: { readonly test: ReadonlyArray<string> }
  readonly read_only?: boolean
  readonly volumes?: ReadonlyArray<string>
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const compose = parse(read("docker-compose.yml")) as Compose

/** The file with `${NAME:-default}` filled in. */
const filled = (text: string): string => text.replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1")

const stages = read("Dockerfile")
  .split(/^FROM /m)
  .slice(1)

/** Instructions of a stage, each on one line, without comments. */
const instructionsOf = (stage: string): ReadonlyArray<string> =>
  stage
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line !== "")

describe("docker-compose.yml", () => {
  it("runs the daemon, Valkey and PostgreSQL", () => {
    assert.deepStrictEqual(Object.keys(compose.services), ["chat-cache", "valkey", "postgres"])
  })

  it.each(Object.entries(compose.services))("%s is reachable from this machine alone", (_, { ports }) => {
    assert.isNotEmpty(ports)
    for (const port of ports) assert.match(filled(port), /^127\.0\.0\.1:\d+:\d+$/)
  })

  it("keeps the queue on disk and never evicts it", () => {
    const { command } = compose.services["valkey"]!
    assert.include(command, "--appendonly yes")
    assert.include(command, "--maxmemory-policy noeviction")
  })

  it.each(["valkey", "postgres"])("%s has a health check, and keeps its data in a volume", (name) => {
    const { healthcheck, volumes = [] } = compose.services[name]!
    assert.isDefined(healthcheck)
    assert.sameMembers(
      volumes.map((volume) => volume.split(":")[0]),
      [name],
    )
    assert.property(compose.volumes, name)
  })

  it("points the daemon at the two servers, by the names that they have there", () => {
    const { environment = {} } = compose.services["chat-cache"]!
    const postgres = compose.services["postgres"]!.environment!
    assert.strictEqual(new URL(environment["VALKEY_URL"]!).hostname, "valkey")
    const url = new URL(filled(environment["DATABASE_URL"]!))
    assert.strictEqual(url.hostname, "postgres")
    assert.strictEqual(url.username, postgres["POSTGRES_USER"])
    assert.strictEqual(url.password, filled(postgres["POSTGRES_PASSWORD"]!))
    assert.strictEqual(url.pathname, `/${postgres["POSTGRES_DB"]}`)
    assert.isNotEmpty(filled(environment["CHAT_CACHE_API_TOKEN"]!))
  })

  it("gives the daemon nothing to write to", () => {
    assert.isTrue(compose.services["chat-cache"]!.read_only)
  })
})

describe("Dockerfile", () => {
  it("copies what is there, and nothing that .dockerignore keeps out", () => {
    const kept = read(".dockerignore")
      .split("\n")
      .flatMap((line) => (line.startsWith("!") ? [line.slice(1)] : []))
    const copied = stages
      .flatMap(instructionsOf)
      .flatMap((line) => /^COPY (?!--from)(.*) \S+$/.exec(line)?.[1]?.split(" ") ?? [])
    assert.sameMembers(copied, kept)
    for (const file of copied) assert.isTrue(fs.existsSync(fileURLToPath(project(file))), file)
  })

  it("runs the built daemon, as somebody without rights", () => {
    const last = instructionsOf(stages.at(-1)!)
    assert.include(last, "USER node")
    assert.include(last, 'ENTRYPOINT ["node", "--enable-source-maps", "dist/main.js"]')
    assert.isFalse(last.some((line) => line.startsWith("RUN")))
  })

  it("runs on the Node that the package asks for", () => {
    const { engines } = JSON.parse(read("package.json")) as { readonly engines: { readonly node: string } }
    for (const stage of stages) assert.match(stage, new RegExp(`^node:${engines.node.replace(">=", "")}-`))
  })

  it("has a health check that is a program, and fails where nothing answers", () => {
    const check = instructionsOf(stages.at(-1)!).find((line) => line.startsWith("HEALTHCHECK"))!
    const [, ...args] = JSON.parse(/CMD (\[.*\])$/.exec(check)![1]!) as ReadonlyArray<string>
    const { status, stderr } = spawnSync(process.execPath, args, {
      env: { CHAT_CACHE_PORT: "1" },
      encoding: "utf8",
    })
    assert.deepStrictEqual({ status, stderr }, { status: 1, stderr: "" })
  })
})
