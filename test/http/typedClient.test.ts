/** The client of the package against the server: every route, its success and its errors as types. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Either, Fiber, Redacted, Ref, Stream } from "effect"
import { readFile } from "node:fs/promises"
import { createServer, type IncomingMessage, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { json } from "node:stream/consumers"
import * as Client from "../../src/client.ts"
import { CacheUnavailable } from "../../src/domain/Errors.ts"
import { FlushRecovered } from "../../src/domain/Event.ts"
import { Api } from "../../src/http/Api.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { outage, StoreFaults } from "../support/FaultyStore.ts"
import { Faults, privateDraft, publicDraft, Target, test, token } from "./TestServer.ts"

const message_id = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"

const storable = JSON.stringify({
  cache_id: 7,
  data: { ...publicDraft(), message_id, authored_at: "2026-03-01T12:00:00.000Z" },
})

const makeClient = (options: Partial<Client.ClientOptions> = {}) =>
  Effect.flatMap(Target, ({ url }) => Client.make({ url, retries: 0, ...options })).pipe(
    Effect.provide(FetchHttpClient.layer),
  )

const unavailable = (execution: "refused" | "unknown") =>
  new CacheUnavailable({ operation: "publish", execution, reason: "no reply came in time" })

const failCache = (execution: "refused" | "unknown" | undefined) =>
  Effect.flatMap(Faults, ({ cache }) =>
    Ref.set(cache, execution === undefined ? Effect.void : unavailable(execution)),
  )

const quarantine = (raw: string) =>
  Effect.flatMap(MessageStore, (store) =>
    store.transaction((transaction) =>
      transaction.quarantine("public", [
        {
          cacheId: 7,
          reason: "wrong_shape",
          sqlstate: null,
          error: "channel is missing",
          raw: Buffer.from(raw),
        },
      ]),
    ),
  )

describe("the client", () => {
  test(
    "publishes and reads",
    Effect.gen(function* () {
      const { deletion, publishing, recent } = yield* makeClient()
      const published = yield* publishing.publish({ payload: publicDraft({ message_id }) as never })
      assert.deepInclude(published, { cache_id: 1, message_id })
      yield* publishing.publishPrivate({ payload: privateDraft() })
      const batch = yield* publishing.publishBatch({ payload: { messages: [publicDraft(), publicDraft()] } })
      assert.deepStrictEqual(
        batch.results.map((result) => result.status === "accepted" && result.cache_id),
        [2, 3],
      )
      yield* publishing.publishPrivateBatch({ payload: { messages: [privateDraft()] } })
      const { messages } = yield* recent.recent({ urlParams: { limit: 2 } })
      assert.deepStrictEqual(
        messages.map(({ cache_id }) => cache_id),
        [2, 3],
      )
      yield* deletion.delete({ path: { message_id } })
      yield* deletion.deletePrivate({ path: { message_id } })
      const noId = yield* Effect.flip(deletion.delete({ path: { message_id: "1" } }))
      assert.strictEqual(noId._tag, "InvalidMessageId")
      const path = { user_id: "1" }
      assert.strictEqual((yield* recent.recentPrivate({ path, urlParams: {} })).messages.length, 2)
      assert.deepStrictEqual(yield* recent.clearPrivate({ path }), { deleted: 1 })
      assert.deepStrictEqual(yield* recent.clearAllPrivate({}), { deleted: 1 })
    }),
  )

  test(
    "runs chat-cache",
    Effect.gen(function* () {
      const { health, operation } = yield* makeClient()
      const flushed = yield* operation.flush({})
      assert.deepStrictEqual(flushed.public, {
        persisted: 0,
        duplicates: 0,
        quarantined: 0,
        deleted: 0,
        remaining: 0,
      })
      const payload = { message_limit: 3, window_seconds: 9 }
      assert.deepStrictEqual(yield* operation.updateRateLimit({ payload }), payload)
      assert.deepStrictEqual(yield* operation.rateLimit({}), payload)
      assert.strictEqual((yield* operation.status({})).settings.message_limit, 3)
      assert.deepStrictEqual(yield* health.live({}), { status: "ok" })
      assert.strictEqual((yield* health.ready({})).status, "ok")
    }),
  )

  test(
    "reads the quarantine, replays with a correction and without, and discards",
    Effect.gen(function* () {
      const client = (yield* makeClient()).quarantine
      for (const raw of [storable, "b", "c"]) yield* quarantine(raw)
      assert.strictEqual((yield* client.list({ urlParams: { queue: "public" } })).entries.length, 3)
      assert.strictEqual((yield* client.show({ path: { id: 2 } })).raw, "b")
      const asItWas = yield* client.replay({ path: { id: 1 }, payload: undefined })
      assert.strictEqual(asItWas.status, "replayed")
      const corrected = yield* client.replay({ path: { id: 2 }, payload: publicDraft() })
      assert.strictEqual(corrected.status, "replayed")
      assert.isUndefined(yield* client.discard({ path: { id: 3 } }))
    }),
  )

  test(
    "listens to what happens",
    Effect.gen(function* () {
      const client = yield* makeClient()
      const listening = yield* Effect.fork(Stream.runCollect(Stream.take(client.followEvents(1), 2)))
      yield* client.operation.updateRateLimit({ payload: { message_limit: 3, window_seconds: 9 } })
      yield* Effect.flatMap(MessageStore, (store) =>
        store.transaction((transaction) => transaction.journal([new FlushRecovered({ queue: "public" })])),
      )
      const events = Chunk.toReadonlyArray(yield* Fiber.join(listening))
      assert.deepStrictEqual(
        events.map(({ event }) => event._tag),
        ["RateLimitChanged", "FlushRecovered"],
      )
      assert.instanceOf(events[1]!.event, FlushRecovered)
    }),
  )

  test(
    "tells errors apart by their tag",
    Effect.gen(function* () {
      const { publishing, quarantine: entries, operation, recent, health } = yield* makeClient()
      const flip = <A, E extends { readonly _tag: string }, R>(call: Effect.Effect<A, E, R>) =>
        Effect.map(Effect.flip(call), ({ _tag }) => _tag)
      const draft = { payload: publicDraft() }
      const path = { id: 1 }

      assert.strictEqual(yield* flip(entries.show({ path })), "QuarantineEntryNotFound")
      assert.strictEqual(yield* flip(entries.discard({ path })), "QuarantineEntryNotFound")
      assert.strictEqual(yield* flip(entries.replay({ path, payload: undefined })), "QuarantineEntryNotFound")
      yield* quarantine("b")
      const refused = yield* Effect.flip(entries.replay({ path, payload: undefined }))
      assert.deepInclude(refused, { _tag: "ReplayRefused", id: 1 })
      yield* entries.discard({ path })
      assert.strictEqual(yield* flip(entries.replay({ path, payload: undefined })), "QuarantineEntryResolved")
      assert.strictEqual(
        yield* flip(operation.updateRateLimit({ payload: { message_limit: 0, window_seconds: 1 } })),
        "ParseError",
      )

      yield* failCache("unknown")
      const unknown = yield* Effect.flip(publishing.publish(draft))
      assert.deepInclude(unknown, { _tag: "CacheUnavailable", execution: "unknown" })
      const batch = yield* publishing.publishBatch({ payload: { messages: [publicDraft()] } })
      assert.deepInclude(batch.results[0], { status: "unknown" })
      yield* failCache("refused")
      assert.strictEqual(yield* flip(recent.recent({ urlParams: {} })), "CacheUnavailable")
      assert.strictEqual(
        yield* flip(publishing.publishBatch({ payload: { messages: [publicDraft()] } })),
        "CacheUnavailable",
      )
      yield* failCache(undefined)

      const faults = yield* StoreFaults
      yield* publishing.publish(draft)
      yield* faults.set({ at: "begin", error: outage })
      assert.strictEqual(yield* flip(operation.flush({})), "StoreUnavailable")
      yield* faults.set(undefined)

      yield* operation.updateRateLimit({ payload: { message_limit: 1, window_seconds: 60 } })
      yield* publishing.publish({ payload: publicDraft({ owner_id: "9" }) as never })
      const limited = yield* Effect.flip(
        publishing.publish({ payload: publicDraft({ owner_id: "9" }) as never }),
      )
      assert.strictEqual(limited._tag, "RateLimited")
      if (limited._tag === "RateLimited") assert.isAbove(limited.retry_after_ms, 0)

      yield* Effect.flatMap(ChatCache, ({ shutdown }) => shutdown)
      assert.strictEqual(yield* flip(publishing.publish(draft)), "ShuttingDown")
      assert.strictEqual((yield* health.ready({})).status, "unavailable")
    }),
  )

  test(
    "sends the token, and is told when it is the wrong one",
    Effect.gen(function* () {
      const right = yield* makeClient({ token: Redacted.make("secret") })
      assert.strictEqual((yield* right.operation.status({})).status, "ok")
      const first = yield* Stream.runHead(right.followEvents())
      assert.strictEqual(first._tag, "Some")
      const wrong = yield* makeClient({ token: Redacted.make("guess") })
      assert.strictEqual((yield* Effect.flip(wrong.operation.status({})))._tag, "Unauthorized")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(wrong.followEvents())))._tag, "Unauthorized")
      assert.strictEqual((yield* wrong.health.live({})).status, "ok")
    }),
    token("secret"),
  )

  test(
    "does not send what the server would refuse",
    Effect.gen(function* () {
      const { publishing } = yield* makeClient()
      const invalid = yield* Effect.flip(
        publishing.publish({ payload: publicDraft({ channel: "" }) as never }),
      )
      assert.strictEqual(invalid._tag, "ParseError")
    }),
  )

  it("has a function for every route", () => {
    const names: Array<string> = []
    HttpApi.reflect(Api, {
      onGroup: () => {},
      onEndpoint: ({ group, endpoint }) => names.push(`${group.identifier}.${endpoint.name}`),
    })
    return Effect.gen(function* () {
      const client = (yield* Client.make({ url: "http://127.0.0.1:1" })) as unknown as Record<string, object>
      for (const name of names) {
        const [group, endpoint] = name.split(".") as [string, string]
        if (group === "events") assert.isFunction(client["followEvents"])
        else assert.isFunction(Reflect.get(client[group]!, endpoint), name)
      }
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.runPromise)
  })
})

it("the client loads nothing of the daemon", async () => {
  const source = new URL("../../src/", import.meta.url)
  const loaded = new Set<string>()
  const load = async (file: URL): Promise<void> => {
    if (loaded.has(file.href)) return
    loaded.add(file.href)
    const text = await readFile(file, "utf8")
    const imports = [...text.matchAll(/^(?:import|export)(?! type)[^"]*from "([^"]+)"/gm)].map(
      ([, name]) => name!,
    )
    for (const name of imports) {
      assert.notMatch(name, /^node:|iovalkey|slonik|^pg$|platform-node/, file.href)
      if (name.startsWith(".")) await load(new URL(name, file))
    }
  }
  await load(new URL("client.ts", source))
  for (const href of loaded) assert.notMatch(href, /\/src\/(?:layers|services)\//)
  assert.isAbove(loaded.size, 5)
})

type Reply =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body: unknown }
  | "cut"

/** A server that answers with one reply after the other, and keeps what it was sent. */
const scripted = (replies: ReadonlyArray<Reply>) =>
  Effect.gen(function* () {
    const requests: Array<{ readonly request: IncomingMessage; readonly body: unknown }> = []
    const server = yield* Effect.acquireRelease(
      Effect.async<Server>((resume) => {
        const made = createServer((request, response) => {
          const reply = replies[Math.min(requests.length, replies.length - 1)]!
          const body = request.method === "POST" ? json(request) : Promise.resolve(undefined)
          body.then(
            (received) => {
              requests.push({ request, body: received })
              if (reply === "cut") return request.socket.destroy()
              response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers })
              return response.end(JSON.stringify(reply.body))
            },
            () => request.socket.destroy(),
          )
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) =>
        Effect.sync(() => {
          made.close()
          made.closeAllConnections()
        }),
    )
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const client = yield* Effect.provide(Client.make({ url }), FetchHttpClient.layer)
    return { client, requests }
  })

const soon = { "retry-after": "0" }
const accepted: Reply = {
  status: 202,
  body: { cache_id: 1, message_id, authored_at: "2026-03-01T12:00:00.000Z" },
}
const cacheUnavailable = (execution: string): Reply => ({
  status: 503,
  headers: soon,
  body: { _tag: "CacheUnavailable", operation: "publish", execution, reason: "x", message: "x" },
})
const shuttingDown: Reply = { status: 503, headers: soon, body: { _tag: "ShuttingDown", message: "x" } }

describe("a request that fails", () => {
  const draft = publicDraft()
  const draftWithId = { ...publicDraft(), message_id }

  for (const [title, replies, payload, expected] of [
    ["is sent again when it was refused", [shuttingDown, cacheUnavailable("refused"), accepted], draft, 3],
    ["is not sent again when it may have been executed", [cacheUnavailable("unknown"), accepted], draft, 1],
    [
      "is sent again in that case when the message has an id",
      [cacheUnavailable("unknown"), accepted],
      draftWithId,
      2,
    ],
    ["is not sent again when the connection broke", ["cut", accepted], draft, 1],
    ["is sent again in that case when the message has an id", ["cut", accepted], draftWithId, 2],
    ["is given up after four times", [shuttingDown], draft, 4],
    [
      "is given up when it would have to wait for long",
      [{ ...shuttingDown, headers: { "retry-after": "11" } }, accepted],
      draft,
      1,
    ],
    [
      "is not sent again when the user is over the limit",
      [
        { status: 429, headers: soon, body: { _tag: "RateLimited", retry_after_ms: 1, message: "x" } },
        accepted,
      ],
      draft,
      1,
    ],
  ] as ReadonlyArray<readonly [string, ReadonlyArray<Reply>, typeof draft, number]>) {
    it.scopedLive(`${title}: ${replies.length} replies, ${expected} requests`, () =>
      Effect.gen(function* () {
        const { client, requests } = yield* scripted(replies)
        const outcome = yield* Effect.either(client.publishing.publish({ payload }))
        assert.strictEqual(requests.length, expected)
        const last = replies[Math.min(expected, replies.length) - 1]!
        const tag = Either.match(outcome, { onLeft: ({ _tag }) => _tag, onRight: () => "accepted" })
        const told =
          last === "cut" ? "RequestError" : ((last.body as { readonly _tag?: string })._tag ?? "accepted")
        assert.strictEqual(tag, told)
        for (const { body } of requests) assert.deepStrictEqual(body, payload)
      }),
    )
  }

  it.scopedLive("is sent again in a batch only when every message has an id", () =>
    Effect.gen(function* () {
      for (const [messages, expected] of [
        [[draftWithId, draft], 1],
        [[draftWithId, draftWithId], 2],
      ] as const) {
        const { client, requests } = yield* scripted([
          cacheUnavailable("unknown"),
          { status: 200, body: { results: [] } },
        ])
        yield* Effect.exit(client.publishing.publishBatch({ payload: { messages } }))
        assert.strictEqual(requests.length, expected)
      }
    }),
  )

  it.scopedLive("to follow the events is told as the error that it is", () =>
    Effect.gen(function* () {
      const { client, requests } = yield* scripted([
        {
          status: 503,
          headers: soon,
          body: { _tag: "TooManyListeners", maximum: 1, message: "x" },
        },
      ])
      const error = yield* Effect.flip(Stream.runDrain(client.followEvents()))
      assert.strictEqual(error._tag, "TooManyListeners")
      assert.strictEqual(requests.length, 4)
    }),
  )

  it.scopedLive("in the middle of the events goes on after the last that was read", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const frame = (position: number) =>
        `retry: 1\n\nid: ${position}\nevent: FlushRecovered\ndata: ${JSON.stringify({
          position,
          recorded_at: "2026-03-01T12:00:00.000Z",
          event: { _tag: "FlushRecovered", queue: "public" },
        })}\n\n: nothing new\n\nid: 99\nevent: OfANewerVersion\ndata: {}\n\n`
      const server = yield* Effect.acquireRelease(
        Effect.async<Server>((resume) => {
          const made = createServer((request, response) => {
            seen.push(request.url!)
            response.writeHead(200, { "content-type": "text/event-stream" })
            // In pieces that cut a frame.
            const text = frame(seen.length + 4)
            response.write(text.slice(0, 40))
            response.end(text.slice(40))
          }).listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) =>
          Effect.sync(() => {
            made.close()
            made.closeAllConnections()
          }),
      )
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const client = yield* Effect.provide(Client.make({ url }), FetchHttpClient.layer)
      const events = yield* Stream.runCollect(Stream.take(client.followEvents(4), 2))
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(events).map(({ position }) => position),
        [5, 6],
      )
      assert.deepStrictEqual(seen, ["/events?after=4", "/events?after=5"])
    }),
  )
})
