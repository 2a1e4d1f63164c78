/**
 * The short way to the routes for publishing, which are nearly all that a daemon is asked for: going through the router
 * and its layers costs a request as much as all the rest of it. It takes what is asked for by its exact path and answers
 * what went well. Everything else is answered by the routes, which do the same with a request and stay the definition.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import { clientAbortFiberId } from "@effect/platform/HttpServerError"
import { type Cause, Effect, Exit, FiberRef, LogLevel, Runtime } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { ChatCache } from "../services/ChatCache.ts"
import { answerErrors } from "./answerErrors.ts"
import type { Guard } from "./Guard.ts"
import * as Publishing from "./Publishing.ts"

/** Answers a request. */
export type Listener = (request: IncomingMessage, response: ServerResponse) => void

const write = (response: ServerResponse, { status, body }: Publishing.Reply): void => {
  if (response.destroyed) return
  const text = JSON.stringify(body)
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  })
  response.end(text)
}

/** @param routes whom everything goes to that is not taken here */
export const make = (guard: Guard, routes: Listener): Effect.Effect<Listener, never, ChatCache> =>
  Effect.gen(function* () {
    // Each request has its line in the log then, which the routes write.
    if (LogLevel.lessThanEqual(yield* FiberRef.get(FiberRef.currentMinimumLogLevel), LogLevel.Debug)) {
      return routes
    }
    const answers = new Map<string, Publishing.Answer<Publishing.Failure>>(
      Object.entries(Publishing.answers(yield* ChatCache)),
    )
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const failures = new WeakMap<IncomingMessage, Cause.Cause<Publishing.Failure>>()
    const answerFailure = yield* NodeHttpServer.makeHandler(
      answerErrors(
        Effect.flatMap(HttpServerRequest, (request) =>
          Effect.failCause(failures.get(NodeHttpServerRequest.toIncomingMessage(request))!),
        ),
      ),
    )

    return (request, response) => {
      const answer = request.method === "POST" ? answers.get(request.url!) : undefined
      if (answer === undefined || guard(request) !== undefined) return routes(request, response)
      const fiber = runFork(answer(request, response))
      fiber.addObserver((exit) => {
        if (Exit.isSuccess(exit)) return write(response, exit.value)
        failures.set(request, exit.cause)
        answerFailure(request, response)
      })
      response.once("close", () => {
        if (!response.writableEnded) fiber.unsafeInterruptAsFork(clientAbortFiberId)
      })
    }
  })
