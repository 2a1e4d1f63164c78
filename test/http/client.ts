import * as HttpApi from "@effect/platform/HttpApi"
import { assert } from "@effect/vitest"
import { Effect, Either, Option, Schema } from "effect"
import * as http from "node:http"
import * as net from "node:net"
import { text } from "node:stream/consumers"
import { Api } from "../../src/http/Api.ts"
import { securityHeaders } from "../../src/http/securityHeaders.ts"
import { Target } from "./TestServer.ts"

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  /** `undefined` where the answer has no body. */
  readonly body: any
}

interface Endpoint {
  readonly method: string
  readonly path: RegExp
  readonly bodies: ReadonlyMap<number, Schema.Schema<unknown> | undefined>
}

const endpoints: Array<Endpoint> = []
HttpApi.reflect(Api, {
  onGroup: () => {},
  onEndpoint: ({ endpoint: { method, path }, successes, errors }) => {
    const bodies = new Map(
      [...successes, ...errors].map(([status, { ast }]) => [
        status,
        Option.getOrUndefined(Option.map(ast, (known) => Schema.make<unknown>(known))),
      ]),
    )
    endpoints.push({ method, path: new RegExp(`^${path.replaceAll(/:\w+/g, "[^/]+")}$`), bodies })
  },
})

/** Holds the answer against what the API says of its route: a status that it names, a body with nothing more or less. */
const checkDocumented = (method: string, path: string, { status, body }: Answer): void => {
  const endpoint = endpoints.find((known) => known.method === method && known.path.test(path.split("?")[0]!))
  if (endpoint === undefined) return
  assert.isTrue(endpoint.bodies.has(status), `${method} ${path} does not document ${status}`)
  const schema = endpoint.bodies.get(status)
  if (schema === undefined) return assert.isUndefined(body)
  const decoded = Schema.decodeUnknownEither(schema, { onExcessProperty: "error" })(body)
  if (Either.isLeft(decoded)) assert.fail(decoded.left.message)
}

export interface Request {
  readonly headers?: http.OutgoingHttpHeaders
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is. */
  readonly body?: string | Uint8Array
}

const exchange = (port: number, method: string, path: string, request: Request): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const body = request.body ?? (request.json === undefined ? undefined : JSON.stringify(request.json))
    const headers = {
      ...(request.json === undefined ? {} : { "content-type": "application/json" }),
      ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
      ...request.headers,
    }
    const outgoing = http.request({ host: "127.0.0.1", port, method, path, headers, agent: false })
    outgoing.on("error", reject)
    outgoing.on("response", (incoming) => {
      text(incoming).then((received) => {
        const isJson = incoming.headers["content-type"] === "application/json"
        const isPage = path.split("?")[0] === "/docs" && incoming.headers["content-type"] === "text/html"
        if (received !== "" && !isJson && !isPage) {
          assert.fail(`${method} ${path} answered something that is not JSON`)
        }
        const answer: Answer = {
          status: incoming.statusCode!,
          headers: incoming.headers,
          body: received === "" ? undefined : isPage ? received : JSON.parse(received),
        }
        resolve(answer)
      }, reject)
    })
    outgoing.end(body)
  })

/** What every answer tells browsers. The documentation is a page, and loads what is in it. */
const checkSecurity = (path: string, { headers, status }: Answer): void => {
  for (const [name, value] of Object.entries(securityHeaders)) {
    if (path.split("?")[0] === "/docs" && status === 200 && name === "Content-Security-Policy") continue
    assert.strictEqual(headers[name.toLowerCase()], value, path)
  }
  assert.isEmpty(Object.keys(headers).filter((name) => name.startsWith("access-control-")))
}

/** Sends a request and checks that the answer is one that the API documents, and safe to show to a browser. */
export const send = Effect.fnUntraced(function* (method: string, path: string, request: Request = {}) {
  const { port } = yield* Target
  const answer = yield* Effect.promise(() => exchange(port, method, path, request))
  checkDocumented(method, path, answer)
  checkSecurity(path, answer)
  if (method !== "HEAD" && answer.status >= 400 && answer.body?.status !== "unavailable") {
    assert.isString(answer.body?._tag)
    assert.isNotEmpty(answer.body?.message)
  }
  return answer
})

/** A connection on which a test says byte by byte what it wants to say. */
export interface RawConnection {
  readonly socket: net.Socket
  readonly write: (bytes: string | Uint8Array) => Effect.Effect<void>
  /** Waits until the text has arrived, from the beginning of the connection on. */
  readonly until: (expected: string) => Effect.Effect<string>
  /** Waits until the server has closed the connection. Fails when it was reset instead. */
  readonly closed: Effect.Effect<string>
}

export const connect = (options: { readonly host?: string } = {}) =>
  Effect.gen(function* () {
    const { port } = yield* Target
    const socket = yield* Effect.acquireRelease(
      Effect.async<net.Socket>((resume) => {
        const made = net.connect({ port, host: options.host ?? "127.0.0.1" }, () =>
          resume(Effect.succeed(made)),
        )
      }),
      (made) => Effect.sync(() => made.destroy()),
    )
    let received = ""
    let failure: Error | undefined
    socket.setEncoding("utf8")
    socket.on("data", (chunk: string) => (received += chunk))
    socket.on("error", (error) => (failure = error))
    const waitFor = (event: "data" | "close", isThere: () => boolean): Effect.Effect<string> =>
      Effect.async<string>((resume) => {
        const check = () => {
          if (isThere()) resume(Effect.succeed(received))
          else if (event === "data" && socket.closed) {
            resume(Effect.dieMessage(`the connection ended after ${JSON.stringify(received)}`))
          }
        }
        socket.on("data", check).on("close", check)
        check()
        return Effect.sync(() => socket.off("data", check).off("close", check))
      })
    return {
      socket,
      write: (bytes) => Effect.async((resume) => void socket.write(bytes, () => resume(Effect.void))),
      until: (expected) => waitFor("data", () => received.includes(expected)),
      closed: Effect.tap(
        waitFor("close", () => socket.closed),
        () => (failure === undefined ? Effect.void : Effect.die(failure)),
      ),
    } satisfies RawConnection
  })

/** What was sent, to look for what must not be in it. */
export const textOf = (body: unknown): string => JSON.stringify(body)
