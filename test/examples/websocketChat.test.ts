/** The server of `examples/websocket-chat`, through plain WebSockets. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import * as net from "node:net"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { eventually } from "../support/eventually.ts"
import * as Example from "../support/ExampleProcess.ts"
import { freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

const servers = Layer.merge(valkeyShared, freshDatabase)

/** Starting a process takes a while on a busy machine. */
const timeout = 120_000

const startChat = (environment: Record<string, string> = {}) =>
  Effect.flatMap(uniqueKeyPrefix, (keyPrefix) =>
    Example.start("websocket-chat", { CHAT_CACHE_KEY_PREFIX: keyPrefix, ...environment }),
  )

// oxlint-disable-next-line typescript/no-explicit-any -- whatever the server sends, for the assertions to look at
type Frame = any

interface Browser {
  readonly frames: ReadonlyArray<Frame>
  readonly send: (frame: string | Uint8Array) => void
  /** Returns the id of the message. */
  readonly say: (username: string, message: string, messageId?: string) => string
  /** The first frame that fits, which may be still on its way. */
  readonly frame: (what: string, fits: (frame: Frame) => boolean) => Effect.Effect<Frame>
  /** The close code, when the connection has ended. */
  readonly closed: Effect.Effect<{ readonly code: number; readonly reason: string }>
}

const open = (
  url: string,
  headers: Record<string, string> = {},
): Effect.Effect<Browser, never, Scope.Scope> =>
  Effect.gen(function* () {
    const frames: Array<Frame> = []
    // Node's own WebSocket takes headers, which the type of the browsers' does not know.
    const options = { headers } as unknown as string
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => new WebSocket(`${url.replace("http", "ws")}/chat`, options)),
      (opened) => Effect.sync(() => opened.close()),
    )
    socket.addEventListener("message", ({ data }) => frames.push(JSON.parse(data)))
    const closed = new Promise<{ readonly code: number; readonly reason: string }>((resolve) =>
      socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason })),
    )
    return {
      frames,
      send: (frame) => socket.send(frame),
      say: (username, message, message_id = randomUUID()) => {
        socket.send(JSON.stringify({ username, message, message_id }))
        return message_id
      },
      frame: (what, fits) =>
        Effect.map(
          eventually(
            what,
            Effect.sync(() => frames.some(fits)),
          ),
          () => frames.find(fits),
        ),
      closed: Effect.promise(() => closed),
    }
  })

const enter = (url: string) =>
  Effect.tap(open(url), (browser) => browser.frame("recent messages came", ({ type }) => type === "recent"))

const texts = (messages: ReadonlyArray<{ readonly username: string; readonly message: string }>) =>
  messages.map(({ username, message }) => `${username}: ${message}`)

it.live(
  "two people hear each other, and a third who comes later sees what was said",
  () =>
    Effect.gen(function* () {
      const { url } = yield* startChat()
      const ada = yield* enter(url)
      const grace = yield* enter(url)
      assert.deepStrictEqual(ada.frames, [{ type: "recent", messages: [] }])

      const hello = ada.say("ada", "Hello")
      const heard = yield* grace.frame("grace hears it", ({ message }) => message?.message_id === hello)
      assert.deepInclude(heard.message, {
        cache_id: 1,
        owner_id: "ada",
        username: "ada",
        channel: "general",
        message: "Hello",
      })
      const answer = grace.say("grace", "Hello, Ada <b>")
      yield* ada.frame("ada hears the answer", ({ message }) => message?.message_id === answer)
      assert.strictEqual(ada.frames.filter(({ type }) => type === "message").length, 2)

      const third = yield* enter(url)
      assert.deepStrictEqual(texts(third.frames[0].messages), ["ada: Hello", "grace: Hello, Ada <b>"])
    }).pipe(Effect.scoped, Effect.provide(servers)),
  timeout,
)

it.live(
  "who says too much, nothing, or no message learns why, and the conversation goes on",
  () =>
    Effect.gen(function* () {
      const { url } = yield* startChat({ CHAT_CACHE_MESSAGE_LIMIT: "2" })
      const ada = yield* enter(url)
      const isRefused = (id: string) => (frame: Frame) => frame.type === "refused" && frame.message_id === id

      const empty = ada.say("ada", "")
      const invalid = yield* ada.frame("an empty message is refused", isRefused(empty))
      assert.deepInclude(invalid.error, {
        _tag: "InvalidMessage",
        message: "The message was not taken: message must not be empty.",
      })

      ada.send("{ this is no message")
      const unreadable = yield* ada.frame(
        "what cannot be read is refused",
        ({ error }) => error?._tag === "InvalidFrame",
      )
      assert.notProperty(unreadable, "message_id")
      ada.send(new Uint8Array([1, 2, 3]))
      yield* eventually(
        "bytes are refused",
        Effect.sync(() => ada.frames.filter(({ error }) => error?._tag === "InvalidFrame").length === 2),
      )

      ada.say("ada", "one")
      ada.say("ada", "two")
      const third = ada.say("ada", "three")
      const limited = yield* ada.frame("the third is refused", isRefused(third))
      assert.strictEqual(limited.error._tag, "RateLimited")
      assert.isAbove(limited.error.retry_after_ms, 0)

      const other = ada.say("grace", "I may speak")
      yield* ada.frame("another one is heard", ({ message }) => message?.message_id === other)
      const said = ada.frames.flatMap(({ type, message }) => (type === "message" ? [message] : []))
      assert.deepStrictEqual(texts(said), ["ada: one", "ada: two", "grace: I may speak"])
    }).pipe(Effect.scoped, Effect.provide(servers)),
  timeout,
)

it.live(
  "a message that is sent again with its id is heard twice by nobody who comes later, and stored once",
  () =>
    Effect.gen(function* () {
      const chat = yield* startChat()
      const ada = yield* enter(chat.url)
      const id = ada.say("ada", "Hello")
      ada.say("ada", "Hello", id)
      yield* eventually(
        "both are taken",
        Effect.sync(() => ada.frames.filter(({ type }) => type === "message").length === 2),
      )
      const later = yield* enter(chat.url)
      assert.deepStrictEqual(texts(later.frames[0].messages), ["ada: Hello"])
      yield* chat.signal("SIGTERM")
      assert.strictEqual(yield* chat.exited, 0, yield* chat.output)
      const { url } = yield* PostgresServer
      assert.deepStrictEqual(yield* query(url, "SELECT message FROM chat_messages"), [{ message: "Hello" }])
    }).pipe(Effect.scoped, Effect.provide(servers)),
  timeout,
)

it.live(
  "a page of another site is not let in, and a frame that is no message for its size ends the connection",
  () =>
    Effect.gen(function* () {
      const { url } = yield* startChat()
      const stranger = yield* open(url, { origin: "https://elsewhere.example" })
      assert.strictEqual((yield* stranger.closed).code, 1006)
      const ada = yield* enter(url)
      ada.say("ada", "a".repeat(600_000))
      assert.strictEqual((yield* ada.closed).code, 1009)
      const plain = yield* Effect.promise(() => fetch(`${url}/chat`))
      assert.strictEqual(plain.status, 426)
    }).pipe(Effect.scoped, Effect.provide(servers)),
  timeout,
)

it.live(
  "when the server is stopped, everybody is told, and what was said is stored",
  () =>
    Effect.gen(function* () {
      const chat = yield* startChat()
      const ada = yield* enter(chat.url)
      const grace = yield* enter(chat.url)
      const last = ["one", "two", "three"].map((text) => ada.say("ada", text)).at(-1)
      yield* grace.frame("grace has heard all", ({ message }) => message?.message_id === last)
      yield* chat.signal("SIGTERM")
      for (const browser of [ada, grace]) {
        assert.deepStrictEqual(yield* browser.closed, { code: 1001, reason: "The server is going down." })
      }
      assert.strictEqual(yield* chat.exited, 0, yield* chat.output)
      assert.include(yield* chat.output, "Stopped: 3 messages stored, 0 still queued.")
      const { url } = yield* PostgresServer
      const rows = yield* query(url, "SELECT username, message FROM chat_messages ORDER BY cache_id")
      assert.deepStrictEqual(rows, [
        { username: "ada", message: "one" },
        { username: "ada", message: "two" },
        { username: "ada", message: "three" },
      ])
    }).pipe(Effect.scoped, Effect.provide(servers)),
  timeout,
)

it.live(
  "what one person says stays in order, and a flood ends the connection",
  () =>
    Effect.gen(function* () {
      const { url } = yield* startChat({ CHAT_CACHE_MESSAGE_LIMIT: "1000000" })
      const ada = yield* enter(url)
      const words = Array.from({ length: 90 }, (_, index) => `word ${index}`)
      const last = words.map((word) => ada.say("ada", word)).at(-1)
      yield* ada.frame("all is heard", ({ message }) => message?.message_id === last)
      const heard = ada.frames.flatMap(({ type, message }) => (type === "message" ? [message.message] : []))
      assert.deepStrictEqual(heard, words)
      for (let said = 0; said < 2000; said++) ada.say("ada", "too much")
      assert.strictEqual((yield* ada.closed).code, 1008)
    }).pipe(Effect.scoped, Effect.provide(servers)),
  timeout,
)

/** Enters and reads nothing until `resume`, which returns the number of bytes that were there when the connection ended. */
const enterWithoutReading = (url: string) =>
  Effect.promise(
    () =>
      new Promise<{ readonly resume: Effect.Effect<number> }>((resolve) => {
        const { hostname, host, port } = new URL(url)
        const socket = net.connect(Number(port), hostname)
        socket.on("error", () => {})
        socket.once("readable", () => {
          let bytes = 0
          const ended = new Promise<number>((end) => socket.once("close", () => end(bytes)))
          const resume = Effect.promise(() => {
            socket.on("data", (data) => (bytes += data.length))
            return ended
          })
          resolve({ resume })
        })
        socket.write(
          `GET /chat HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        )
      }),
  )

it.live(
  "who does not read is cut off, and costs the server no more memory",
  () =>
    Effect.gen(function* () {
      const chat = yield* startChat({ CHAT_CACHE_MESSAGE_LIMIT: "1000000" })
      const silent = yield* enterWithoutReading(chat.url)
      const ada = yield* enter(chat.url)
      const text = "a".repeat(60_000)
      const count = 500
      for (let said = 0; said < count; said += 50) {
        const ids = Array.from({ length: 50 }, () => ada.say("ada", text))
        yield* ada.frame("ada has heard all", ({ message }) => message?.message_id === ids.at(-1))
      }
      assert.isBelow(yield* silent.resume, count * text.length)
      ada.say("ada", "still here")
      yield* ada.frame("the conversation goes on", ({ message }) => message?.message === "still here")
    }).pipe(Effect.scoped, Effect.provide(servers)),
  timeout,
)
