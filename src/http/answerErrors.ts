import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpApi from "@effect/platform/HttpApi"
import { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerError from "@effect/platform/HttpServerError"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Cause, Effect, Stream } from "effect"
import type { IncomingMessage } from "node:http"
import { Api } from "./Api.ts"
import * as Documentation from "./Documentation.ts"
import { bodyOf, type ErrorAnswer, headersOf, isErrorAnswer, statusOf } from "./ErrorAnswers.ts"
import { InternalError, InvalidRequest, MethodNotAllowed, RouteNotFound } from "./Errors.ts"

const routes: Array<{ readonly method: string; readonly path: RegExp }> = Documentation.paths.map((path) => ({
  method: "GET",
  path: new RegExp(`^${path.replace(".", "\\.")}$`),
}))
HttpApi.reflect(Api, {
  onGroup: () => {},
  onEndpoint: ({ endpoint: { method, path } }) =>
    routes.push({ method, path: new RegExp(`^${path.replaceAll(/:\w+/g, "[^/]*")}$`) }),
})

/** What is wrong with a request that no route takes. */
const unrouted = ({ url }: HttpServerRequest): ErrorAnswer => {
  const path = url.split("?", 1)[0]!
  try {
    decodeURIComponent(path)
  } catch {
    return new InvalidRequest({ problems: [{ field: "", problem: "the path is not percent-encoded UTF-8" }] })
  }
  const allowed = [...new Set(routes.filter((route) => route.path.test(path)).map(({ method }) => method))]
  return allowed.length === 0 ? new RouteNotFound() : new MethodNotAllowed({ allowed })
}

const answerOf = (error: unknown, request: HttpServerRequest): ErrorAnswer | undefined => {
  if (error instanceof HttpServerError.RouteNotFound) return unrouted(request)
  if (error instanceof HttpApiDecodeError) {
    return new InvalidRequest({
      problems: error.issues.map(({ path, message }) => ({ field: path.join("."), problem: message })),
    })
  }
  return isErrorAnswer(error) ? error : undefined
}

/** Waits until the client has sent what it wanted to send, and throws it away. The server's request timeout ends it. */
const discardRest = (source: IncomingMessage): Effect.Effect<void> =>
  Effect.async((resume) => {
    const done = () => resume(Effect.void)
    if (source.complete || source.destroyed) return done()
    source.once("end", done).once("close", done).resume()
    return Effect.sync(() => source.off("end", done).off("close", done))
  })

/**
 * Answers at once, but closes the connection only when the client has stopped sending: if there were bytes left to
 * read, the system would reset the connection, and many clients would never see the answer.
 */
const respondAndClose = (error: ErrorAnswer, request: HttpServerRequest) => {
  const body = Buffer.from(JSON.stringify(bodyOf(error)))
  const rest = discardRest(NodeHttpServerRequest.toIncomingMessage(request))
  return HttpServerResponse.stream(Stream.concat(Stream.make(body), Stream.drain(Stream.fromEffect(rest))), {
    status: statusOf(error),
    headers: { ...headersOf(error), connection: "close" },
    contentType: "application/json",
    contentLength: body.length,
  })
}

const respond = (error: ErrorAnswer, request: HttpServerRequest) =>
  error._tag === "PayloadTooLarge" || error._tag === "TooManyUploads"
    ? respondAndClose(error, request)
    : HttpServerResponse.unsafeJson(bodyOf(error), { status: statusOf(error), headers: headersOf(error) })

/** Answers every error as JSON. A fault of ours is logged, and the answer says nothing of it. */
export const answerErrors = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<never, R> =>
  Effect.catchAllCause(app, (cause) =>
    Effect.flatMap(HttpServerRequest, (request) => {
      if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
      const error = answerOf(Cause.squash(cause), request)
      if (error !== undefined) return Effect.succeed(respond(error, request))
      return Effect.logError(`${request.method} request failed because of a fault.`, cause).pipe(
        Effect.as(respond(new InternalError(), request)),
      )
    }),
  )
