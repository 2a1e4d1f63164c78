/** The daemon on servers that speak TLS, with certificates of an authority that only the test knows. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs/promises"
import { type AddressInfo, createServer } from "node:net"
import * as path from "node:path"
import { inject } from "vitest"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { type Certificate, makeAuthority } from "../support/certificates.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import {
  ControlledPostgres,
  controlledPostgres,
  freshDatabase,
  query,
  valkeyShared,
} from "../support/Servers.ts"

const directory = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(inject("temporaryDirectory"), "tls-"))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true })),
)

const write = (file: string, content: string) =>
  Effect.as(
    Effect.promise(() => fs.writeFile(file, content)),
    file,
  )

const freePort = Effect.promise(async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
})

/** A Valkey that speaks nothing but TLS, at the returned port. */
const valkeyWithTls = ({ certificate, key }: Certificate) =>
  Effect.gen(function* () {
    const folder = yield* directory
    const port = yield* freePort
    const certificateFile = yield* write(path.join(folder, "server.crt"), certificate)
    const keyFile = yield* write(path.join(folder, "server.key"), key)
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(
          "valkey-server",
          [
            ["--port", "0", "--tls-port", String(port), "--bind", "127.0.0.1"],
            [
              "--tls-cert-file",
              certificateFile,
              "--tls-key-file",
              keyFile,
              "--tls-ca-cert-file",
              certificateFile,
            ],
            ["--tls-auth-clients", "no", "--requirepass", "password", "--save", "", "--dir", folder],
            ["--maxmemory-policy", "noeviction", "--appendonly", "yes"],
          ].flat(),
          { stdio: ["ignore", "pipe", "inherit"] },
        ),
      ),
      (spawned) =>
        Effect.promise(async () => {
          if (spawned.exitCode !== null) return
          spawned.kill("SIGKILL")
          await once(spawned, "close")
        }),
    )
    let output = ""
    child.stdout.on("data", (text: Buffer) => (output += text.toString()))
    yield* eventually(
      "Valkey takes connections",
      Effect.sync(() => output.includes("Ready to accept connections")),
    )
    return port
  })

/** Has the server of the test speak TLS, and nothing else to who comes by the network. */
const enableTls = ({ certificate, key }: Certificate) =>
  Effect.gen(function* () {
    const { url } = yield* ControlledPostgres
    for (const [file, content] of [
      ["server.crt", certificate],
      ["server.key", key],
    ] as const) {
      const encoded = Buffer.from(content).toString("base64")
      // The server writes it itself, so that the key is its own.
      yield* query(url, `COPY (SELECT '${encoded}') TO PROGRAM 'umask 077; base64 -d > ${file}'`)
    }
    yield* query(url, "ALTER SYSTEM SET ssl = on")
    yield* query(url, "SELECT pg_reload_conf()")
    yield* eventually(
      "PostgreSQL has TLS",
      Effect.map(query(url, "SHOW ssl"), ([row]) => row?.["ssl"] === "on"),
    )
  })

const postgresUrl = (host: string, parameters: Record<string, string>) =>
  Effect.map(ControlledPostgres, ({ url }) => {
    const changed = new URL(Redacted.value(url))
    changed.hostname = host
    for (const [name, value] of Object.entries(parameters)) changed.searchParams.set(name, value)
    return changed.href
  })

const message = { owner_id: "1", username: "ada", channel: "general", message: "Hello" }

const readiness = (url: string) =>
  Effect.map(Daemon.request("GET", `${url}/health/ready`), ({ body }) => body)

const problemsOf = (url: string) => Effect.map(readiness(url), ({ problems }) => problems.join(" ") as string)

describe("TLS", () => {
  it.scopedLive(
    "to both servers, whose certificates an authority of one's own has signed",
    () =>
      Effect.gen(function* () {
        const folder = yield* directory
        const authority = yield* makeAuthority("Ours")
        const ca = yield* write(path.join(folder, "ca.crt"), authority.certificate)
        const certificate = yield* authority.issue(["localhost", "127.0.0.1"])
        const port = yield* valkeyWithTls(certificate)
        yield* enableTls(certificate)
        for (const host of ["localhost", "127.0.0.1"]) {
          const valkeyUrl = yield* write(
            path.join(folder, "VALKEY_URL"),
            `valkeys://:password@${host}:${port}\n`,
          )
          const daemon = yield* Daemon.start({
            environment: {
              VALKEY_URL: undefined,
              VALKEY_URL_FILE: valkeyUrl,
              CHAT_CACHE_VALKEY_CA_FILE: ca,
              DATABASE_URL: yield* postgresUrl(host, { sslmode: "verify-full", sslrootcert: ca }),
            },
          })
          yield* eventually(
            `it is ready on ${host}`,
            Effect.map(readiness(daemon.url), ({ status }) => status === "ok"),
          )
          yield* Daemon.request("POST", `${daemon.url}/messages`, message)
          const { body } = yield* Daemon.request("POST", `${daemon.url}/flush`)
          assert.strictEqual(body.public.persisted, 1)
          const { url } = yield* ControlledPostgres
          const encrypted = yield* query(
            url,
            "SELECT bool_and(ssl) AS all FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'chat-cache'",
          )
          assert.deepStrictEqual(encrypted, [{ all: true }])
        }
      }).pipe(Effect.provide(Layer.merge(controlledPostgres, valkeyShared))),
    90_000,
  )

  it.scopedLive(
    "is refused to servers that somebody else has signed, and it is said what to do",
    () =>
      Effect.gen(function* () {
        const folder = yield* directory
        const ours = yield* makeAuthority("Ours")
        const theirs = yield* makeAuthority("Theirs")
        const ca = yield* write(path.join(folder, "ca.crt"), ours.certificate)
        const certificate = yield* theirs.issue(["localhost"])
        const port = yield* valkeyWithTls(certificate)
        yield* enableTls(certificate)
        const { url } = yield* Daemon.start({
          environment: {
            VALKEY_URL: `valkeys://:password@localhost:${port}`,
            CHAT_CACHE_VALKEY_CA_FILE: ca,
            DATABASE_URL: yield* postgresUrl("localhost", { sslmode: "verify-full", sslrootcert: ca }),
          },
        })
        yield* eventually(
          "it says so of both",
          Effect.map(problemsOf(url), (problems) =>
            ["CHAT_CACHE_VALKEY_CA_FILE", "sslrootcert=<file> in DATABASE_URL"].every((name) =>
              problems.includes(`name the authority that signed it with ${name}`),
            ),
          ),
        )
        const refused = yield* Daemon.request("POST", `${url}/messages`, message)
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.body.execution, "refused")
      }).pipe(Effect.provide(Layer.merge(controlledPostgres, valkeyShared))),
    90_000,
  )

  it.scopedLive(
    "is refused to servers of another name, and where there is none",
    () =>
      Effect.gen(function* () {
        const folder = yield* directory
        const authority = yield* makeAuthority("Ours")
        const ca = yield* write(path.join(folder, "ca.crt"), authority.certificate)
        const certificate = yield* authority.issue(["valkey.example"])
        const port = yield* valkeyWithTls(certificate)
        yield* enableTls(certificate)
        const { url } = yield* Daemon.start({
          environment: {
            VALKEY_URL: `valkeys://:password@localhost:${port}`,
            CHAT_CACHE_VALKEY_CA_FILE: ca,
            DATABASE_URL: yield* postgresUrl("localhost", { sslmode: "verify-full", sslrootcert: ca }),
          },
        })
        yield* eventually(
          "it says so of both",
          Effect.map(problemsOf(url), (problems) => problems.split("is for another name").length === 3),
        )
        const shared = new URL(inject("valkeyUrl"))
        shared.protocol = "valkeys:"
        const plain = yield* Daemon.start({
          environment: {
            VALKEY_URL: `valkeys://localhost:${shared.port}`,
            CHAT_CACHE_VALKEY_CA_FILE: ca,
          },
        })
        assert.match(yield* problemsOf(plain.url), /Valkey at localhost:\d+ cannot be reached/)
      }).pipe(Effect.provide(Layer.merge(controlledPostgres, valkeyShared))),
    90_000,
  )
})

describe("a secret in a file", () => {
  const servers = Layer.merge(valkeyShared, freshDatabase)

  it.scopedLive("is taken for the token and both URLs", () =>
    Effect.gen(function* () {
      const folder = yield* directory
      const valkey = yield* ValkeyServer
      const postgres = yield* PostgresServer
      yield* write(path.join(folder, "VALKEY_URL"), Redacted.value(valkey.url))
      const database = yield* write(path.join(folder, "database"), `${Redacted.value(postgres.url)}\n`)
      const token = yield* write(path.join(folder, "token"), "correct horse\n")
      const { url } = yield* Daemon.start({
        environment: {
          VALKEY_URL: undefined,
          CREDENTIALS_DIRECTORY: folder,
          DATABASE_URL: undefined,
          DATABASE_URL_FILE: database,
          CHAT_CACHE_API_TOKEN_FILE: token,
          CHAT_CACHE_KEY_PREFIX: `test:${path.basename(folder)}:`,
        },
      })
      assert.strictEqual((yield* Daemon.request("GET", `${url}/status`)).status, 401)
      const answer = yield* Effect.promise(() =>
        fetch(`${url}/status`, { headers: { authorization: "Bearer correct horse" } }),
      )
      assert.strictEqual(answer.status, 200)
    }).pipe(Effect.provide(servers)),
  )

  it.scopedLive(
    "that cannot be read, is empty, is given twice or is no certificate is refused with exit code 78",
    () =>
      Effect.gen(function* () {
        const folder = yield* directory
        const empty = yield* write(path.join(folder, "empty"), "\n")
        const text = yield* write(path.join(folder, "text"), "canary")
        const missing = path.join(folder, "missing")
        const cases: ReadonlyArray<readonly [Record<string, string | undefined>, ...ReadonlyArray<string>]> =
          [
            [{ CHAT_CACHE_API_TOKEN_FILE: missing }, "CHAT_CACHE_API_TOKEN_FILE", missing],
            [{ CHAT_CACHE_API_TOKEN_FILE: empty }, "CHAT_CACHE_API_TOKEN_FILE", empty],
            [{ DATABASE_URL_FILE: text }, "DATABASE_URL_FILE", "use one of them alone"],
            [{ DATABASE_URL: undefined, DATABASE_URL_FILE: text }, "DATABASE_URL", "must be a URL"],
            [
              { VALKEY_URL: "valkeys://localhost", CHAT_CACHE_VALKEY_CA_FILE: text },
              "CHAT_CACHE_VALKEY_CA",
              "PEM",
            ],
            [
              { DATABASE_URL: `postgres://u:canary@localhost/d?sslrootcert=${missing}` },
              "DATABASE_URL",
              missing,
            ],
            [
              { CHAT_CACHE_ALLOWED_HOSTS: "https://chat.example" },
              "CHAT_CACHE_ALLOWED_HOSTS",
              "chat.example",
            ],
          ]
        yield* Effect.forEach(
          cases,
          ([environment, ...expected]) =>
            Effect.gen(function* () {
              const daemon = yield* Daemon.run({ environment })
              assert.strictEqual(yield* daemon.exited, 78)
              const output = yield* daemon.output
              for (const part of expected) assert.include(output, part)
              assert.notInclude(output, "canary")
            }),
          { concurrency: 4 },
        )
      }).pipe(Effect.provide(servers)),
    60_000,
  )
})
