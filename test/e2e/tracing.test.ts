/** Traces, as a collector receives them from a daemon with the standard variables set. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import * as Daemon from "../support/DaemonProcess.ts"
import { controlledValkey, freshDatabase } from "../support/Servers.ts"

const servers = Layer.merge(controlledValkey, freshDatabase)

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: Record<string, unknown> }>
}

interface Received {
  readonly path: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** Takes whatever is sent to it. */
const collector = Effect.gen(function* () {
  const received: Array<Received> = []
  const server = yield* Effect.acquireRelease(
    Effect.async<Server>((resume) => {
      const listener = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (text: string) => (body += text))
        request.on("end", () => {
          received.push({ path: request.url!, headers: request.headers, body })
          response.setHeader("content-type", "application/json").end("{}")
        })
      })
      listener.listen(0, "127.0.0.1", () => resume(Effect.succeed(listener)))
    }),
    (listener) =>
      Effect.sync(() => listener.closeAllConnections()).pipe(
        Effect.zipRight(Effect.async<void>((resume) => void listener.close(() => resume(Effect.void)))),
      ),
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
})

const spansOf = (received: ReadonlyArray<Received>): ReadonlyArray<Span> =>
  received.flatMap(({ body }) => {
    const { resourceSpans } = JSON.parse(body) as {
      readonly resourceSpans: ReadonlyArray<{
        readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }>
      }>
    }
    return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  })

it.live("a collector sees a message on its way: publish, script, flush, commit", () =>
  Effect.gen(function* () {
    const { url: endpoint, received } = yield* collector
    const daemon = yield* Daemon.start({
      environment: {
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=ours",
        OTEL_SERVICE_NAME: "our-chat",
      },
    })
    const message = { owner_id: "1", username: "ada", channel: "general", message: "nobody else's business" }
    assert.strictEqual((yield* Daemon.request("POST", `${daemon.url}/messages`, message)).status, 202)
    assert.strictEqual((yield* Daemon.request("POST", `${daemon.url}/flush`)).status, 200)
    yield* daemon.signal("SIGTERM")
    assert.strictEqual(yield* daemon.exited, 0, yield* daemon.output)

    assert.isTrue(received.every(({ path }) => path === "/v1/traces"))
    assert.isTrue(received.every(({ headers }) => headers["x-tenant"] === "ours"))
    const text = received.map(({ body }) => body).join("")
    assert.include(text, "our-chat")
    assert.notInclude(text, message.message)
    const spans = spansOf(received)
    const attribute = ({ attributes }: Span, name: string) =>
      Object.values(attributes.find(({ key }) => key === name)?.value ?? {})[0]
    /** Names of the spans around one, from the outermost on. */
    const pathTo = (span: Span): ReadonlyArray<string> => {
      const parent = spans.find(({ spanId }) => spanId === span.parentSpanId)
      return [...(parent === undefined ? [] : pathTo(parent)), span.name]
    }
    const published = spans.filter(({ name }) => name === "Publisher.append")
    assert.deepStrictEqual(
      published.map((span) => Number(attribute(span, "last_cache_id"))),
      [1],
    )
    const script = spans.find(
      (span) => span.name === "Valkey.run" && span.parentSpanId === published[0]!.spanId,
    )
    assert.strictEqual(attribute(script!, "script"), "publishMessages-3")
    const paths = spans.map((span) => pathTo(span).join(" > "))
    assert.include(
      paths,
      "Flusher.attempt > flushBatch > MessageStore.transaction > Postgres.commit",
      [...new Set(paths)].join("\n"),
    )
    assert.isTrue(paths.some((path) => /flushBatch > FlushQueue.acknowledge > Valkey.run$/.test(path)))
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("a collector that is away costs nothing but its traces", () =>
  Effect.gen(function* () {
    const daemon = yield* Daemon.start({
      environment: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:1/v1/traces" },
    })
    const message = { owner_id: "1", username: "ada", channel: "general", message: "Hello" }
    assert.strictEqual((yield* Daemon.request("POST", `${daemon.url}/messages`, message)).status, 202)
    yield* daemon.signal("SIGTERM")
    assert.strictEqual(yield* daemon.exited, 0, yield* daemon.output)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("a protocol that is not spoken is refused with exit code 78", () =>
  Effect.gen(function* () {
    const daemon = yield* Daemon.run({
      environment: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
    })
    assert.strictEqual(yield* daemon.exited, 78)
    assert.include(yield* daemon.output, "OTEL_EXPORTER_OTLP_PROTOCOL")
  }).pipe(Effect.scoped, Effect.provide(servers)),
)
