import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { networkInterfaces } from "node:os"
import { isAllowedHost } from "../../src/http/Guard.ts"
import { connect, send, textOf } from "./client.ts"
import { Target, publicDraft, test, token } from "./TestServer.ts"

const hosts = (lines: ReadonlyArray<string>) => lines.map((host) => `Host: ${host}\r\n`).join("")

/** An address of this machine that the server does not know by name. */
const ownAddress =
  Object.values(networkInterfaces())
    .flat()
    .find((known) => known?.family === "IPv4" && !known.internal)?.address ?? "127.0.0.2"

/** Sends a request line and Host headers as they are, and returns what came back. */
const speak = (line: string, names: ReadonlyArray<string>, host?: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* connect(host === undefined ? {} : { host })
      yield* connection.write(`${line}\r\n${hosts(names)}Connection: close\r\n\r\n`)
      return yield* connection.closed
    }),
  )

describe("the Host header", () => {
  test(
    "may be any name of this machine, with the port",
    Effect.gen(function* () {
      const { port } = yield* Target
      for (const name of ["127.0.0.1", "localhost", "LocalHost", "[::1]"]) {
        assert.match(yield* speak("GET /health/live HTTP/1.1", [`${name}:${port}`]), /^HTTP\/1.1 200/)
      }
    }),
  )

  test(
    "is refused when it is another's, on every route",
    Effect.gen(function* () {
      const { port } = yield* Target
      for (const host of [
        "evil.example",
        `evil.example:${port}`,
        `localhost.evil.example:${port}`,
        `localhost@evil.example:${port}`,
        `127.0.0.2:${port}`,
        "localhost",
        `localhost:${port === 1 ? 2 : 1}`,
        `localhost:0${port}`,
        `localhost.:${port}`,
      ]) {
        for (const path of ["/health/live", "/messages/recent", "/nowhere"]) {
          const { status, body } = yield* send("GET", path, { headers: { host } })
          assert.strictEqual(status, 421, host)
          assert.strictEqual(body._tag, "MisdirectedRequest")
        }
      }
      const draft = { json: publicDraft(), headers: { host: "evil.example" } }
      assert.strictEqual((yield* send("POST", "/messages", draft)).status, 421)
      assert.deepStrictEqual((yield* send("GET", "/messages/recent")).body.messages, [])
    }),
  )

  test(
    "is refused when it is missing, stands there twice, or a whole URL is asked for",
    Effect.gen(function* () {
      const { port } = yield* Target
      const own = `127.0.0.1:${port}`
      for (const [line, names] of [
        ["GET /health/live HTTP/1.1", []],
        ["GET /health/live HTTP/1.0", []],
        ["GET /health/live HTTP/1.1", [""]],
        ["GET /health/live HTTP/1.1", [`:${port}`]],
        ["GET /health/live HTTP/1.1", [own, own]],
        ["GET /health/live HTTP/1.1", [own, "evil.example"]],
        ["GET /health/live HTTP/1.1", ["evil.example", own]],
        ["GET http://evil.example/health/live HTTP/1.1", [own]],
        [`GET http://${own}/health/live HTTP/1.1`, [own]],
        ["OPTIONS * HTTP/1.1", [own]],
      ] as const) {
        const answer = yield* speak(line, names)
        assert.match(answer, /^HTTP\/1.1 421 /, line)
        assert.include(answer, '"_tag":"MisdirectedRequest"')
      }
    }),
  )

  test(
    "may be the address that the connection came in on, where the server listens on all",
    Effect.gen(function* () {
      const { port } = yield* Target
      const line = "GET /health/live HTTP/1.1"
      for (const [name, status] of [
        [ownAddress, 200],
        ["localhost", 200],
        ["127.0.0.3", 421],
        ["evil.example", 421],
      ] as const) {
        const answer = yield* speak(line, [`${name}:${port}`], ownAddress)
        assert.isTrue(answer.startsWith(`HTTP/1.1 ${status} `), name)
      }
    }),
    { host: "0.0.0.0", ...token("secret") },
  )
})

describe("the name of a proxy in front", () => {
  const options = { allowedHosts: ["chat.example", "Chat.Example.Org:8443", "[2001:db8::1]"] }

  test(
    "is taken for our own, with any port unless it is given with one",
    Effect.gen(function* () {
      const { port } = yield* Target
      for (const [name, status] of [
        ["chat.example", 200],
        ["CHAT.example:443", 200],
        ["chat.example.org:8443", 200],
        ["[2001:db8::1]", 200],
        ["[2001:db8::1]:8443", 200],
        [`localhost:${port}`, 200],
        ["chat.example.org", 421],
        ["chat.example.org:443", 421],
        ["evil.chat.example", 421],
        ["chat.example.evil", 421],
        ["chat.example:", 421],
        ["chat.example:x", 421],
        ["[2001:db8::2]", 421],
      ] as const) {
        const answer = yield* speak("GET /health/live HTTP/1.1", [name])
        assert.isTrue(answer.startsWith(`HTTP/1.1 ${status} `), name)
      }
    }),
    options,
  )

  test(
    "is the site from which its pages may change something",
    Effect.gen(function* () {
      for (const [origin, status] of [
        ["https://chat.example", 200],
        ["https://chat.example.org:8443", 200],
        ["https://chat.example.org", 403],
        ["https://evil.example", 403],
      ] as const) {
        const answer = yield* send("POST", "/flush", { headers: { origin, host: "chat.example" } })
        assert.strictEqual(answer.status, status, origin)
      }
    }),
    options,
  )

  it("is a name or an address, and a port", () => {
    for (const name of ["chat.example", "a", "10.0.0.1:80", "[::1]:1", "xn--bcher-kva.example"]) {
      assert.isTrue(isAllowedHost(name), name)
    }
    for (const name of [
      "*",
      "*.example",
      "https://chat.example",
      "chat.example/",
      "a b",
      "-a",
      "a:123456",
      "::1",
      "",
    ]) {
      assert.isFalse(isAllowedHost(name), name)
    }
  })
})

describe("the token", () => {
  const secret = "correct horse battery staple ü"
  const bearer = (given: string) => ({
    headers: { authorization: Buffer.from(given, "utf8").toString("latin1") },
  })

  test(
    "opens every route, and is asked for on all but /health",
    Effect.gen(function* () {
      for (const [method, path] of [
        ["POST", "/messages"],
        ["POST", "/private-messages"],
        ["POST", "/messages/batch"],
        ["POST", "/private-messages/batch"],
        ["DELETE", "/messages/1"],
        ["DELETE", "/private-messages/1"],
        ["GET", "/messages/recent"],
        ["GET", "/private-messages/recent/1"],
        ["DELETE", "/private-messages/recent/1"],
        ["DELETE", "/private-messages/recent"],
        ["POST", "/flush"],
        ["GET", "/rate-limit"],
        ["PUT", "/rate-limit"],
        ["GET", "/quarantine"],
        ["GET", "/quarantine/1"],
        ["POST", "/quarantine/1/replay"],
        ["DELETE", "/quarantine/1"],
        ["GET", "/status"],
        ["HEAD", "/events"],
        ["GET", "/openapi.json"],
        ["HEAD", "/docs"],
        ["HEAD", "/metrics"],
        ["GET", "/nowhere"],
        ["PUT", "/health"],
        ["GET", "//health/live"],
      ] as const) {
        const { status, body, headers } = yield* send(method, path)
        assert.strictEqual(status, 401, path)
        if (method !== "HEAD") assert.strictEqual(body._tag, "Unauthorized")
        assert.strictEqual(headers["www-authenticate"], "Bearer")
        assert.notStrictEqual((yield* send(method, path, bearer(`Bearer ${secret}`))).status, 401)
      }
      for (const path of ["/health/live", "/health/ready"]) {
        assert.strictEqual((yield* send("GET", path)).status, 200)
      }
    }),
    token(secret),
  )

  test(
    "must be the right one, sent as a bearer's",
    Effect.gen(function* () {
      for (const given of [
        "",
        "Bearer",
        "Bearer ",
        `Bearer ${secret}x`,
        `Bearer ${secret.slice(0, -1)}`,
        `Bearer ${secret.toUpperCase()}`,
        `Basic ${secret}`,
        secret,
      ]) {
        const { status, body } = yield* send("GET", "/status", bearer(given))
        assert.strictEqual(status, 401, given)
        assert.notInclude(textOf(body), secret)
      }
      for (const given of [`bearer ${secret}`, `BEARER  ${secret}`]) {
        assert.strictEqual((yield* send("GET", "/status", bearer(given))).status, 200)
      }
    }),
    token(secret),
  )
})

describe("a browser", () => {
  test(
    "changes nothing for pages of other sites",
    Effect.gen(function* () {
      const { url } = yield* Target
      for (const headers of [
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { origin: "http://evil.example" },
        { origin: "null" },
        { origin: "http://localhost:1" },
      ]) {
        const flush = yield* send("POST", "/flush", { headers })
        assert.strictEqual(flush.status, 403)
        assert.strictEqual(flush.body._tag, "CrossSiteRequest")
        assert.strictEqual((yield* send("DELETE", "/private-messages/recent", { headers })).status, 403)
        const read = yield* send("GET", "/status", { headers })
        assert.strictEqual(read.status, 200)
        assert.isUndefined(read.headers["access-control-allow-origin"])
      }
      for (const headers of [
        { "sec-fetch-site": "same-origin", origin: url },
        { "sec-fetch-site": "none" },
        { origin: url },
      ]) {
        assert.strictEqual((yield* send("POST", "/flush", { headers })).status, 200)
      }
    }),
  )
})

describe("a route that is not there", () => {
  test(
    "is answered with 404, and the path is taken to the letter",
    Effect.gen(function* () {
      for (const path of [
        "/",
        "/Messages",
        "//messages",
        "/messages/recent/",
        "/health",
        "/health/../status",
        "/messages;a=b",
      ]) {
        const { status, body } = yield* send("GET", path)
        assert.strictEqual(status, 404, path)
        assert.strictEqual(body._tag, "RouteNotFound")
      }
    }),
  )

  test(
    "is answered with 405 when another method is",
    Effect.gen(function* () {
      for (const [method, path, allowed] of [
        ["DELETE", "/messages", "POST, GET"],
        ["PATCH", "/rate-limit", "GET, PUT"],
        ["POST", "/private-messages/recent/1?limit=1", "GET, DELETE"],
        ["OPTIONS", "/flush", "POST"],
        ["GET", "/messages/", "DELETE"],
      ] as const) {
        const { status, body, headers } = yield* send(method, path)
        assert.strictEqual(status, 405)
        assert.strictEqual(body._tag, "MethodNotAllowed")
        assert.strictEqual(headers.allow, allowed)
      }
      const head = yield* send("HEAD", "/health/live")
      assert.strictEqual(head.status, 200)
    }),
  )
})
