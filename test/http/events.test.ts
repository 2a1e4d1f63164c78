import { assert, describe } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { FlushFailed, FlushRecovered, type Event } from "../../src/domain/Event.ts"
import { EventData } from "../../src/http/EventsApi.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { eventually } from "../support/eventually.ts"
import { connect, type RawConnection, send } from "./client.ts"
import { Target, test, token } from "./TestServer.ts"

const record = (events: ReadonlyArray<Event>) =>
  Effect.flatMap(MessageStore, (store) => store.transaction((transaction) => transaction.journal(events)))

const recovered = new FlushRecovered({ queue: "public" })

const long = new FlushFailed({
  queue: "public",
  reason: "x".repeat(2000),
  attempts: 1,
  started_at: "2026-03-01T12:00:00Z",
  duration_ms: 1,
})

/** Asks for the stream and returns when it has begun. */
const listen = (path: string, headers: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const { port } = yield* Target
    const connection = yield* connect()
    yield* connection.write(
      [`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...headers, "", ""].join("\r\n"),
    )
    yield* connection.until("retry: 2000\n\n")
    return connection
  })

const decode = Schema.decodeUnknownSync(EventData)

/** The events that have arrived in whole, without the frames of HTTP's chunks. */
const eventsIn = (received: string) =>
  [...received.matchAll(/id: (\d+)\nevent: (\w+)\ndata: (.*)\n\n/g)].map(([, id, type, data]) => ({
    id: Number(id),
    type,
    data: decode(data),
  }))

const idsFrom = (connection: RawConnection, last: number) =>
  Effect.map(connection.until(`id: ${last}\n`), (received) => eventsIn(`${received}`).map(({ id }) => id))

const journalled = Effect.flatMap(ChatCache, ({ status }) =>
  eventually(
    "the start is in the journal",
    Effect.map(status, ({ journalPosition }) => journalPosition >= 1),
  ),
)

describe("the stream of events", () => {
  test(
    "tells what is in the journal, and then what comes",
    Effect.scoped(
      Effect.gen(function* () {
        yield* journalled
        const connection = yield* listen("/events")
        const begun = yield* connection.until("DaemonStarted")
        assert.match(begun, /^HTTP\/1.1 200 OK\r\n/)
        assert.match(begun, /\r\ncontent-type: text\/event-stream\r\n/i)
        assert.match(begun, /\r\ncache-control: no-store\r\n/i)
        yield* send("PUT", "/rate-limit", { json: { message_limit: 7, window_seconds: 30 } })
        const received = yield* connection.until('"message_limit":7')
        yield* record([recovered])
        yield* connection.until("FlushRecovered")
        const [started, changed] = eventsIn(received)
        assert.strictEqual(started!.type, "DaemonStarted")
        assert.strictEqual(started!.id, 1)
        assert.strictEqual(changed!.data.position, changed!.id)
        assert.deepInclude(changed!.data.event, { _tag: "RateLimitChanged", message_limit: 7 })
      }),
    ),
  )

  test(
    "begins after the position that is asked for, and goes on after the last that a client has seen",
    Effect.scoped(
      Effect.gen(function* () {
        yield* journalled
        yield* record([recovered, recovered, recovered])
        assert.deepStrictEqual(yield* idsFrom(yield* listen("/events?after=2"), 4), [3, 4])
        const again = yield* listen("/events?after=1", ["Last-Event-ID: 3"])
        assert.deepStrictEqual(yield* idsFrom(again, 4), [4])
      }),
    ),
  )

  test(
    "is refused where the position is none",
    Effect.gen(function* () {
      for (const [path, headers] of [
        ["/events?after=-1", {}],
        ["/events?after=first", {}],
        ["/events?after=1&after=2", {}],
        ["/events", { "last-event-id": "x" }],
      ] as const) {
        const { status, body } = yield* send("GET", path, { headers })
        assert.strictEqual(status, 400, path)
        assert.strictEqual(body._tag, "InvalidRequest")
      }
    }),
  )

  test(
    "shows that it is alive while nothing happens",
    Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* listen("/events?after=1000")
        yield* connection.until(": nothing new\n\n")
      }),
    ),
    { events: { heartbeat: "20 millis" } },
  )

  test(
    "is refused to more clients than may follow, and is there again when one has left",
    Effect.scoped(
      Effect.gen(function* () {
        const first = yield* listen("/events")
        yield* listen("/events")
        const { status, body, headers } = yield* send("GET", "/events")
        assert.strictEqual(status, 503)
        assert.deepInclude(body, { _tag: "TooManyListeners", maximum: 2 })
        assert.strictEqual(headers["retry-after"], "30")
        assert.strictEqual((yield* send("HEAD", "/events")).status, 503)
        first.socket.destroy()
        // Asking takes a place only for as long as it takes to answer.
        yield* eventually(
          "there is a place again",
          Effect.map(send("HEAD", "/events"), (answer) => answer.status === 200),
        )
        yield* send("HEAD", "/events")
        yield* listen("/events")
      }),
    ),
    { events: { maximumListeners: 2 } },
  )

  test(
    "is cut for a client that does not read, and holds no memory for it",
    Effect.scoped(
      Effect.gen(function* () {
        yield* journalled
        const slow = yield* listen("/events")
        slow.socket.pause()
        const other = yield* listen("/events?after=1")
        let tail = ""
        other.socket.on("data", (text: string) => (tail = `${tail}${text}`.slice(-4000)))
        const page = Array.from({ length: 1000 }, () => long)
        // More than the system holds for a connection that nobody reads.
        yield* Effect.replicateEffect(record(page), 10, { discard: true })
        yield* eventually(
          "there is a place again",
          Effect.map(send("HEAD", "/events"), (answer) => answer.status === 200),
          "60 seconds",
        )
        // Who reads has lost nothing by it.
        yield* eventually(
          "the other has read all",
          Effect.sync(() => tail.includes("id: 10001\n")),
          "60 seconds",
        )
        slow.socket.resume()
        yield* Effect.exit(slow.closed)
        assert.isFalse(other.socket.closed)
      }),
    ),
    { events: { heartbeat: "1 second", maximumListeners: 2 }, timeout: 90_000 },
  )

  test(
    "ends with the shutdown, after its last event",
    Effect.scoped(
      Effect.gen(function* () {
        yield* journalled
        const connection = yield* listen("/events")
        yield* connection.until("DaemonStarted")
        yield* Effect.flatMap(ChatCache, ({ shutdown }) => shutdown)
        // The last chunk of HTTP: the stream is complete and was not cut.
        const received = yield* connection.until("\r\n0\r\n\r\n")
        assert.strictEqual(eventsIn(received).at(-1)!.type, "DaemonStopped")
      }),
    ),
  )

  test(
    "is not there without the token",
    Effect.gen(function* () {
      assert.strictEqual((yield* send("GET", "/events")).status, 401)
    }),
    token("secret"),
  )
})
