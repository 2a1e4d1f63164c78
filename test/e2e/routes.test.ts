/** Every route of a daemon that runs as a process on real servers: what it answers, to good requests and to bad ones. */
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Api } from "../../src/http/Api.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import {
  ControlledPostgres,
  controlledPostgres,
  ControlledValkey,
  controlledValkey,
} from "../support/Servers.ts"

interface Request {
  readonly path: string
  readonly body?: unknown
  readonly status: number
  /** Of the error, where it is one. */
  readonly tag?: string
}

interface Route {
  readonly method: string
  /** In order: what one leaves is what the next finds. */
  readonly requests: ReadonlyArray<Request>
  /** What it answers while a server is away. */
  readonly withoutPostgres: number
  readonly withoutValkey: number
}

const id = (number: number) => `01900000-0000-7000-8000-00000000000${number}`
const publicDraft = { owner_id: "1", username: "ada", channel: "general", message: "Hello" }
const privateDraft = { owner_id: "1", username: "ada", recipient_id: "2", recipient: "bob", message: "Psst" }
const invalid = { status: 400, tag: "InvalidMessage" }
const badRequest = { status: 400, tag: "InvalidRequest" }
const noEntry = { status: 404, tag: "QuarantineEntryNotFound" }

const publishing = (path: string, draft: object): Route => ({
  method: "POST",
  requests: [
    { path, body: draft, status: 202 },
    { path, body: { ...draft, message: "" }, ...invalid },
    { path, body: [], ...invalid },
  ],
  withoutPostgres: 202,
  withoutValkey: 503,
})

const batch = (path: string, draft: object): Route => ({
  method: "POST",
  requests: [
    { path, body: { messages: [draft, { ...draft, message: "\u0000" }] }, status: 200 },
    { path, body: { messages: "none" }, ...badRequest },
  ],
  withoutPostgres: 200,
  withoutValkey: 200,
})

const reading = (path: string, bad: string, withoutPostgres = 200): Route => ({
  method: "GET",
  requests: [
    { path, status: 200 },
    { path: bad, ...badRequest },
  ],
  withoutPostgres,
  withoutValkey: 503,
})

const deletion = (path: string): Route => ({
  method: "DELETE",
  requests: [
    { path: `${path}/${id(1)}`, status: 204 },
    { path: `${path}/17`, status: 400, tag: "InvalidMessageId" },
  ],
  withoutPostgres: 503,
  withoutValkey: 503,
})

const always = (path: string): Route => ({
  method: "GET",
  requests: [{ path, status: 200 }],
  withoutPostgres: 200,
  withoutValkey: 200,
})

const routes: Readonly<Record<string, Route>> = {
  "publishing.publish": publishing("/messages", publicDraft),
  "publishing.publishPrivate": publishing("/private-messages", privateDraft),
  "publishing.publishBatch": batch("/messages/batch", publicDraft),
  "publishing.publishPrivateBatch": batch("/private-messages/batch", privateDraft),
  "recent.recent": reading("/messages/recent?channel=general", "/messages/recent?limit=none"),
  "recent.recentPrivate": reading("/private-messages/recent/1", "/private-messages/recent/1?limit=0"),
  "recent.clearPrivate": {
    method: "DELETE",
    requests: [{ path: "/private-messages/recent/1", status: 200 }],
    withoutPostgres: 200,
    withoutValkey: 503,
  },
  "recent.clearAllPrivate": {
    method: "DELETE",
    requests: [{ path: "/private-messages/recent", status: 200 }],
    withoutPostgres: 200,
    withoutValkey: 503,
  },
  "history.history": reading("/messages?limit=5", "/messages?limit=many", 503),
  "history.privateHistory": reading("/private-messages/1?limit=5", "/private-messages/1?limit=0", 503),
  "deletion.delete": deletion("/messages"),
  "deletion.deletePrivate": deletion("/private-messages"),
  "operation.flush": {
    method: "POST",
    requests: [{ path: "/flush", status: 200 }],
    withoutPostgres: 503,
    withoutValkey: 503,
  },
  "operation.rateLimit": {
    ...always("/rate-limit"),
    withoutValkey: 503,
  },
  "operation.updateRateLimit": {
    method: "PUT",
    requests: [
      { path: "/rate-limit", body: { message_limit: 1000, window_seconds: 60 }, status: 200 },
      {
        path: "/rate-limit",
        body: { message_limit: 0, window_seconds: 60 },
        status: 400,
        tag: "InvalidRateLimitSettings",
      },
    ],
    withoutPostgres: 503,
    withoutValkey: 503,
  },
  "operation.status": always("/status"),
  "operation.audit": { ...always("/audit"), withoutPostgres: 503, withoutValkey: 503 },
  "quarantine.list": {
    ...reading("/quarantine?status=open", "/quarantine?status=lost", 503),
    withoutValkey: 200,
  },
  "quarantine.show": {
    method: "GET",
    requests: [
      { path: "/quarantine/17", ...noEntry },
      { path: "/quarantine/none", ...badRequest },
    ],
    withoutPostgres: 503,
    withoutValkey: 404,
  },
  "quarantine.replay": {
    method: "POST",
    requests: [{ path: "/quarantine/17/replay", ...noEntry }],
    withoutPostgres: 503,
    withoutValkey: 404,
  },
  "quarantine.discard": {
    method: "DELETE",
    requests: [{ path: "/quarantine/17", ...noEntry }],
    withoutPostgres: 503,
    withoutValkey: 404,
  },
  "journal.journal": { ...reading("/journal?limit=5", "/journal?after=-1", 503), withoutValkey: 200 },
  "events.events": {
    method: "GET",
    requests: [{ path: "/events?after=none", ...badRequest }],
    withoutPostgres: 400,
    withoutValkey: 400,
  },
  "metrics.metrics": always("/metrics"),
  "health.live": always("/health/live"),
  "health.ready": { ...always("/health/ready"), withoutValkey: 503 },
}

const send = (base: string, method: string, { path, body }: Request, token: string | undefined) =>
  Effect.promise(async () => {
    const response = await fetch(base + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? null : (Response.json(body).body as ReadableStream),
      ...(body === undefined ? {} : { duplex: "half" }),
    } as RequestInit)
    const text = await response.text()
    return { status: response.status, tag: /"_tag":"(\w+)"/.exec(text)?.[1] }
  })

it("has every route", () => {
  const names: Array<string> = []
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ group, endpoint }) => names.push(`${group.identifier}.${endpoint.name}`),
  })
  assert.sameMembers(Object.keys(routes), names)
})

it.live(
  "answers each route: to what is right and wrong, without a token, and while a server is away",
  () =>
    Effect.gen(function* () {
      const token = "a-token"
      const { url } = yield* Daemon.start({
        environment: { CHAT_CACHE_API_TOKEN: token, CHAT_CACHE_MESSAGE_LIMIT: "1000" },
      })
      const isReady = eventually(
        "it is ready",
        Effect.map(
          Effect.promise(() => fetch(`${url}/health/ready`).then((response) => response.text())),
          (text) => text.includes('"ok"'),
        ),
        "60 seconds",
      )
      yield* isReady
      for (const [name, { method, requests }] of Object.entries(routes)) {
        for (const request of requests) {
          const { status, tag } = yield* send(url, method, request, token)
          assert.strictEqual(status, request.status, `${name} ${request.path}`)
          if (request.tag !== undefined) assert.strictEqual(tag, request.tag, `${name} ${request.path}`)
        }
        if (name.startsWith("health.")) continue
        assert.strictEqual((yield* send(url, method, requests[0]!, undefined)).status, 401, name)
      }
      const answersWithout = (away: "withoutPostgres" | "withoutValkey") =>
        Effect.forEach(
          Object.entries(routes),
          ([name, route]) =>
            Effect.map(send(url, route.method, route.requests[0]!, token), ({ status }) =>
              assert.strictEqual(status, route[away], `${name} ${away}`),
            ),
          { discard: true },
        )
      const postgres = yield* ControlledPostgres
      yield* postgres.stop
      yield* answersWithout("withoutPostgres")
      yield* postgres.start
      yield* isReady
      const valkey = yield* ControlledValkey
      yield* valkey.stop
      yield* answersWithout("withoutValkey")
      yield* valkey.start
      yield* isReady
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledPostgres, controlledValkey))),
  180_000,
)
