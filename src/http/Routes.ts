import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import { Context, Duration, Effect, FiberRef, Layer, LogLevel } from "effect"
import * as http from "node:http"
import type { ChatCache } from "../services/ChatCache.ts"
import { answerErrors } from "./answerErrors.ts"
import { Api } from "./Api.ts"
import * as Deletion from "./Deletion.ts"
import * as Documentation from "./Documentation.ts"
import * as Events from "./Events.ts"
import type { Guard } from "./Guard.ts"
import * as Health from "./Health.ts"
import * as History from "./History.ts"
import * as Metrics from "./Metrics.ts"
import * as Journal from "./Journal.ts"
import * as Operation from "./Operation.ts"
import * as Publishing from "./Publishing.ts"
import * as PublishingDoor from "./PublishingDoor.ts"
import * as Quarantine from "./Quarantine.ts"
import * as Recent from "./Recent.ts"

/** At debug alone, and never with a query or a body. */
const logRequest = (request: HttpServerRequest, app: HttpApp.Default): HttpApp.Default =>
  Effect.flatMap(Effect.timed(app), ([took, response]) =>
    Effect.as(
      Effect.logDebug(
        `${request.method} ${request.url.split("?", 1)[0]} ${response.status} in ${Duration.format(took)}`,
      ),
      response,
    ),
  )

/** A semicolon is part of the path, such as of a user id, where the router would begin the query with it. */
const withoutPathParameters = (request: HttpServerRequest, app: HttpApp.Default): HttpApp.Default => {
  if (!request.url.includes(";")) return app
  const [path, ...query] = request.url.split("?")
  const url = [path!.replaceAll(";", "%3B"), ...query].join("?")
  return Effect.provideService(app, HttpServerRequest, request.modify({ url }))
}

/** Around every route: what keeps a request out, and what becomes of errors. */
const around =
  (guard: Guard) =>
  (routes: HttpApp.Default): HttpApp.Default =>
    Effect.withFiberRuntime((fiber) => {
      const request = Context.unsafeGet(fiber.currentContext, HttpServerRequest)
      const refusal = guard(NodeHttpServerRequest.toIncomingMessage(request))
      const app = answerErrors(
        refusal === undefined ? withoutPathParameters(request, routes) : Effect.fail(refusal),
      )
      return LogLevel.lessThanEqual(fiber.getFiberRef(FiberRef.currentMinimumLogLevel), LogLevel.Debug)
        ? logRequest(request, app)
        : app
    })

/** Routes are taken exactly as they are documented: with a slash more, the route of one user is not that of all. */
const exactRoutes = HttpRouter.setRouterConfig({
  caseSensitive: true,
  ignoreTrailingSlash: false,
  ignoreDuplicateSlashes: false,
  maxParamLength: http.maxHeaderSize,
})

const groups = (events: Events.EventsOptions) =>
  Layer.mergeAll(
    Publishing.layer,
    Recent.layer,
    Deletion.layer,
    History.layer,
    Operation.layer,
    Quarantine.layer,
    Journal.layer,
    Events.layer(events),
    Health.layer,
    Metrics.layer,
  )

/** Answers the requests of the server, for as long as the layer lasts. */
const serve = (server: http.Server, guard: Guard) =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const routes = yield* NodeHttpServer.makeHandler(yield* HttpApiBuilder.httpApp)
      const listener = yield* PublishingDoor.make(guard, routes)
      yield* Effect.acquireRelease(
        Effect.sync(() => server.on("request", listener)),
        () => Effect.sync(() => server.off("request", listener)),
      )
    }),
  )

/** The routes, served by the HTTP server, for whom the guard lets in. */
export const layer = (
  server: http.Server,
  guard: Guard,
  events: Events.EventsOptions,
): Layer.Layer<never, never, ChatCache> =>
  serve(server, guard).pipe(
    Layer.provide([HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer]),
    Layer.provide(HttpApiBuilder.middleware(around(guard))),
    Layer.provide(HttpApiBuilder.api(Api)),
    Layer.provide(groups(events)),
    Layer.provide(Documentation.layer),
    Layer.provide(exactRoutes),
    Layer.provide(HttpServer.layerContext),
    // A span costs a quarter of a request's time, also when nobody collects spans.
    HttpMiddleware.withTracerDisabledWhen(() => true),
  )
