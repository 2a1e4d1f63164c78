import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { securityHeaders } from "../../src/http/securityHeaders.ts"
import { eventually } from "../support/eventually.ts"
import { connect, type RawConnection, send, textOf } from "./client.ts"
import { Log, privateDraft, publicDraft, Target, test } from "./TestServer.ts"

const mebibyte = 1024 * 1024

const headFor = (path: string, headers: ReadonlyArray<string>) =>
  Effect.map(Target, ({ port }) =>
    [
      `POST ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      "Content-Type: application/json",
      ...headers,
      "",
      "",
    ].join("\r\n"),
  )

const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${" ".repeat(bytes)}\r\n`

const lastChunk = "0\r\n\r\n"

const assertTooLarge = (received: string, maximum: number) => {
  assert.match(received, /^HTTP\/1.1 413 Payload Too Large\r\n/)
  assert.match(received, /\r\nconnection: close\r\n/i)
  const body = JSON.parse(received.slice(received.indexOf("\r\n\r\n")))
  assert.deepInclude(body, { _tag: "PayloadTooLarge", maximum_bytes: maximum })
}

const write = (connection: RawConnection, bytes: string, times: number) =>
  Effect.replicateEffect(connection.write(bytes), times, { discard: true })

describe("a body", () => {
  for (const [path, maximum, json] of [
    ["/messages", mebibyte, publicDraft()],
    ["/messages/batch", 8 * mebibyte, { messages: [publicDraft()] }],
  ] as const) {
    test(
      `may be ${maximum} bytes long on ${path}, and no longer`,
      Effect.gen(function* () {
        const headers = { "content-type": "application/json" }
        const largest = yield* send("POST", path, { headers, body: textOf(json).padEnd(maximum) })
        assert.isBelow(largest.status, 300)
        const { status, body } = yield* send("POST", path, {
          headers,
          body: textOf(json).padEnd(maximum + 1),
        })
        assert.strictEqual(status, 413)
        assert.strictEqual(body.maximum_bytes, maximum)
      }),
    )
  }

  test(
    "is refused at once when its length says that it is too large, and the client can finish and read that",
    Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* connect()
        yield* connection.write(yield* headFor("/messages", [`Content-Length: ${64 * mebibyte}`]))
        assertTooLarge(yield* connection.until("}"), mebibyte)
        yield* write(connection, " ".repeat(mebibyte), 64)
        assertTooLarge(yield* connection.closed, mebibyte)
      }),
    ),
  )

  test(
    "is refused as soon as what has come of it is too large, when it says no length",
    Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* connect()
        yield* connection.write(yield* headFor("/private-messages", ["Transfer-Encoding: chunked"]))
        yield* write(connection, chunk(mebibyte / 4), 4)
        yield* connection.write(chunk(1))
        assertTooLarge(yield* connection.until("}"), mebibyte)
        yield* write(connection, chunk(mebibyte), 64)
        yield* connection.write(lastChunk)
        assertTooLarge(yield* connection.closed, mebibyte)
      }),
    ),
  )

  test(
    "is not asked for when the client asks first and it would be refused",
    Effect.scoped(
      Effect.gen(function* () {
        const refused = yield* connect()
        yield* refused.write(
          yield* headFor("/messages", [`Content-Length: ${2 * mebibyte}`, "Expect: 100-continue"]),
        )
        const answer = yield* refused.until("}")
        assert.notInclude(answer, "100 Continue")
        assertTooLarge(answer, mebibyte)
        const taken = yield* connect()
        const body = textOf(publicDraft())
        yield* taken.write(
          yield* headFor("/messages", [`Content-Length: ${body.length}`, "Expect: 100-continue"]),
        )
        yield* taken.until("HTTP/1.1 100 Continue\r\n\r\n")
        yield* taken.write(body)
        yield* taken.until("HTTP/1.1 202 Accepted")
      }),
    ),
  )

  test(
    "may come slowly, in pieces that cut characters",
    Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* connect()
        const body = Buffer.from(textOf(publicDraft({ message: "ü😀" })))
        yield* connection.write(yield* headFor("/messages", [`Content-Length: ${body.length}`]))
        for (const byte of body) yield* connection.write(Uint8Array.of(byte))
        yield* connection.until("HTTP/1.1 202 Accepted")
        const recent = yield* send("GET", "/messages/recent")
        assert.strictEqual(recent.body.messages[0].message, "ü😀")
      }),
    ),
  )

  test(
    "that stays away is waited for no longer than a request may take",
    Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* connect()
        yield* connection.write(`${yield* headFor("/messages", ["Content-Length: 100"])}{`)
        const received = yield* connection.closed
        assert.match(received, /^HTTP\/1.1 408 Request Timeout\r\n/)
        assert.include(received, '{"_tag":"RequestTimeout"')
      }),
    ),
    { requestTimeout: "100 millis" },
  )

  test(
    "that nobody reads does not keep the connection from its next request",
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* Target
        const connection = yield* connect()
        yield* connection.write(yield* headFor("/flush", [`Content-Length: ${4 * mebibyte}`]))
        yield* connection.until("HTTP/1.1 200 OK")
        yield* write(connection, " ".repeat(mebibyte), 4)
        yield* connection.write(`GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
        yield* connection.until("HTTP/1.1 404 Not Found")
      }),
    ),
  )

  test(
    "has to wait while as much is being received as may be held",
    Effect.scoped(
      Effect.gen(function* () {
        const head = yield* headFor("/messages/batch", [`Content-Length: ${8 * mebibyte}`])
        const piece = " ".repeat(mebibyte)
        const connections = yield* Effect.replicateEffect(connect(), 19)
        yield* Effect.forEach(
          connections,
          (connection) => Effect.zipRight(connection.write(head), write(connection, piece, 7)),
          { concurrency: "unbounded" },
        )
        const refusals = connections.map((connection) => connection.until('{"_tag":"TooManyUploads"'))
        const answer = yield* Effect.raceAll(refusals)
        assert.match(answer, /^HTTP\/1.1 503 Service Unavailable\r\n/)
        assert.match(answer, /\r\nretry-after: 1\r\n/)
        for (const { socket } of connections) socket.destroy()
        const headers = { "content-type": "application/json" }
        const body = textOf({ messages: [publicDraft()] }).padEnd(7 * mebibyte)
        yield* send("POST", "/messages/batch", { headers, body }).pipe(
          Effect.repeat({ until: ({ status }) => status === 200 }),
        )
      }),
    ),
  )
})

describe("what is no request", () => {
  for (const [title, bytes, status, tag] of [
    ["no HTTP", "hello\r\n\r\n", "400 Bad Request", "MalformedRequest"],
    [
      "two lengths",
      "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "400 Bad Request",
      "MalformedRequest",
    ],
    [
      "a length and chunks",
      "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "400 Bad Request",
      "MalformedRequest",
    ],
    [
      "a name of a header that is none",
      "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
      "400 Bad Request",
      "MalformedRequest",
    ],
    [
      "lines that end without a carriage return, around a second request",
      "GET / HTTP/1.1\nHost: x\n\nGET / HTTP/1.1\n\n",
      "400 Bad Request",
      "MalformedRequest",
    ],
    [
      "chunks that are not told as the last encoding",
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
      "400 Bad Request",
      "MalformedRequest",
    ],
    [
      "20 KB of headers",
      `GET / HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
      "431 Request Header Fields Too Large",
      "HeadersTooLarge",
    ],
  ] as const) {
    test(
      `is answered as JSON: ${title}`,
      Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* connect()
          yield* connection.write(bytes)
          const received = yield* connection.closed
          assert.isTrue(received.startsWith(`HTTP/1.1 ${status}\r\n`), received)
          assert.include(received, `{"_tag":"${tag}","message":"`)
          for (const [name, value] of Object.entries(securityHeaders)) {
            assert.include(received, `\r\n${name}: ${value}\r\n`)
          }
        }),
      ),
    )
  }

  test(
    "is cut off when its headers stay away",
    Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* connect()
        yield* connection.write("GET / HTTP/1.1\r\nHost: ")
        assert.match(yield* connection.closed, /^HTTP\/1.1 408 /)
      }),
    ),
    { requestTimeout: "100 millis" },
  )
})

describe("a connection", () => {
  test(
    "on which nothing moves is closed",
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* Target
        const silent = yield* connect()
        const idle = yield* connect()
        yield* idle.write(`GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
        yield* idle.until('{"status":"ok"}')
        assert.strictEqual(yield* silent.closed, "")
      }),
    ),
    { inactivityTimeout: "100 millis" },
  )

  test(
    "whose client does not read its answer is closed",
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* Target
        const json = {
          messages: Array.from({ length: 300 }, () => publicDraft({ message: "x".repeat(20_000) })),
        }
        yield* send("POST", "/messages/batch", { json })
        const connection = yield* connect()
        connection.socket.pause()
        // Answers of some megabytes each: more than the system holds for a connection that nobody reads.
        const request = `GET /messages/recent HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`
        yield* connection.write(request.repeat(10))
        const writable = Effect.sync(() => connection.socket.writable)
        const probe = Effect.zipRight(
          Effect.sync(() => connection.socket.write(request)),
          Effect.map(writable, (can) => !can),
        )
        yield* eventually("the connection has been cut", probe)
      }),
    ),
    { inactivityTimeout: "200 millis" },
  )

  test(
    "more than may be open is refused, and the others go on",
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* Target
        const ask = (connection: RawConnection) =>
          connection
            .write(`GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
            .pipe(Effect.zipRight(connection.until('{"status":"ok"}')))
        const first = yield* connect()
        const second = yield* connect()
        yield* ask(first)
        yield* ask(second)
        for (let count = 0; count < 5; count++) yield* Effect.exit((yield* connect()).closed)
        yield* first.write(`GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
        yield* first.until("404 Not Found")
        assert.strictEqual((yield* Log).filter((line) => line.includes("2 connections are open")).length, 1)
        second.socket.destroy()
        yield* eventually(
          "another takes its place",
          Effect.scoped(
            Effect.flatMap(connect(), (connection) =>
              Effect.raceFirst(
                Effect.as(ask(connection), true),
                Effect.as(Effect.exit(connection.closed), false),
              ),
            ),
          ),
        )
      }),
    ),
    { maximumConnections: 2 },
  )
})

describe("an id of a user", () => {
  for (const [title, id] of [
    ["with what separates keys", "a:b:recent_messages"],
    ["with what stands for other keys", "*[a-z]?"],
    ["with a hash tag", "{flush}"],
    ["with the end of a line and a header", "1\r\nSet-Cookie: a=b\r\n\r\n"],
    ["with a slash, a percent sign and a question mark", "a/b%2F?limit=1#x"],
    ["of other alphabets", "ünïcødé 😀"],
  ] as const) {
    test(
      `is one user's: ${title}`,
      Effect.gen(function* () {
        const draft = privateDraft({ owner_id: id, recipient_id: "2" })
        const path = `/private-messages/recent/${encodeURIComponent(id)}`
        const published = yield* send("POST", "/private-messages", { json: draft })
        const recent = yield* send("GET", path)
        assert.isUndefined(recent.headers["set-cookie"])
        if (published.status === 202) {
          assert.strictEqual(recent.body.messages[0].owner_id, id)
          assert.strictEqual((yield* send("GET", "/private-messages/recent/a")).body.messages.length, 0)
          assert.deepStrictEqual((yield* send("DELETE", path)).body, { deleted: 1 })
          assert.strictEqual((yield* send("GET", "/private-messages/recent/2")).body.messages.length, 1)
        } else {
          assert.strictEqual(published.status, 400)
          assert.deepStrictEqual(recent.body.messages, [])
        }
      }),
    )
  }

  test(
    "is refused where it is too long, or not there",
    Effect.gen(function* () {
      const long = "x".repeat(10_000)
      for (const owner_id of [long, ""]) {
        const { status, body } = yield* send("POST", "/private-messages", {
          json: privateDraft({ owner_id }),
        })
        assert.strictEqual(status, 400)
        assert.strictEqual(body._tag, "InvalidMessage")
        assert.notInclude(textOf(body), long)
      }
      assert.strictEqual(
        (yield* send("POST", "/messages", { json: publicDraft({ channel: long }) })).status,
        400,
      )
      assert.strictEqual((yield* send("GET", "/private-messages/recent/")).status, 400)
      assert.strictEqual((yield* send("GET", `/private-messages/recent/${long}`)).status, 200)
      assert.strictEqual((yield* send("DELETE", "/private-messages/recent/")).status, 400)
    }),
  )
})

test(
  "an offer of another protocol is passed over",
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* connect()
      const body = textOf(publicDraft())
      yield* connection.write(
        yield* headFor("/messages", [
          "Connection: Upgrade, HTTP2-Settings",
          "Upgrade: h2c",
          "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
          `Content-Length: ${body.length}`,
        ]),
      )
      yield* connection.write(body)
      yield* connection.until("HTTP/1.1 202 Accepted")
    }),
  ),
)
