import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Effect, Either, type Layer, Schema } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { CacheUnavailable, ShuttingDown } from "../domain/Errors.ts"
import type { Accepted } from "../domain/Message.ts"
import { decodeWithProblems } from "../domain/Validation.ts"
import { ChatCache } from "../services/ChatCache.ts"
import type { PublishError } from "../services/Publisher.ts"
import { Api, type BatchResult, BatchResults, maximumBatch, Published } from "./Api.ts"
import { bodyOf } from "./ErrorAnswers.ts"
import { InvalidRequest } from "./Errors.ts"
import { type BodyError, maximumBytes, receiveJson } from "./RequestBody.ts"

type Outcome = Either.Either<Accepted, PublishError>

/** The frame of a batch. Each message in it is validated for itself. */
const decodeBatch = decodeWithProblems(
  Schema.Struct({
    messages: Schema.Array(Schema.Unknown)
      .annotations({ message: () => "must be an array" })
      .pipe(Schema.maxItems(maximumBatch, { message: () => `must hold at most ${maximumBatch} messages` })),
  }).annotations({ message: () => "must be an object" }),
)

const messagesOf = (body: unknown) =>
  Either.mapBoth(decodeBatch(body), {
    onLeft: (problems) => new InvalidRequest({ problems }),
    onRight: ({ messages }) => messages,
  })

const resultOf = (outcome: Outcome): typeof BatchResult.Type => {
  if (Either.isRight(outcome)) return { status: "accepted", ...outcome.right }
  const error = outcome.left
  switch (error._tag) {
    case "RateLimited":
      return { status: "rate_limited", retry_after_ms: error.retry_after_ms }
    case "InvalidMessage":
      return { status: "invalid", error: bodyOf(error) }
    case "QueueFull":
      return { status: "queue_full", error: bodyOf(error) }
    case "CacheUnavailable":
      return { status: error.execution, error: bodyOf(error) }
    case "ShuttingDown":
      return { status: "refused", error: bodyOf(error) }
  }
}

/** Why a message was not executed, and can be sent again as it is. */
const refusalOf = (outcome: Outcome) => {
  if (Either.isRight(outcome)) return undefined
  const error = outcome.left
  return error._tag === "ShuttingDown" || (error._tag === "CacheUnavailable" && error.execution === "refused")
    ? error
    : undefined
}

/** Why nothing of a batch was executed, where that is the case: then the whole of it can be sent again. */
const refusalOfAll = (outcomes: ReadonlyArray<Outcome>) => {
  const [first] = outcomes
  return first !== undefined && outcomes.every((outcome) => refusalOf(outcome) !== undefined)
    ? refusalOf(first)
    : undefined
}

const resultsOf = (outcomes: ReadonlyArray<Outcome>) => {
  const refusal = refusalOfAll(outcomes)
  return refusal === undefined
    ? Effect.succeed<typeof BatchResults.Encoded>({ results: outcomes.map(resultOf) })
    : Effect.fail(refusal)
}

/** What is answered when it goes well. The compiler holds the body to the schema. */
export interface Reply {
  readonly status: number
  readonly body: typeof Published.Encoded | typeof BatchResults.Encoded
}

/** Why a request was not, or not certainly, carried out. */
export type Failure = BodyError | InvalidRequest | PublishError

/** What one of the routes does with a request. */
export type Answer<E> = (source: IncomingMessage, response: ServerResponse) => Effect.Effect<Reply, E>

const replyWith = <A, I extends Reply["body"]>(schema: Schema.Schema<A, I>) => {
  const status = HttpApiSchema.getStatusSuccess(schema)
  return (body: I): Reply => ({ status, body })
}

const single =
  (publish: (draft: never) => Effect.Effect<Accepted, PublishError>): Answer<BodyError | PublishError> =>
  (source, response) =>
    receiveJson(source, response, maximumBytes.single).pipe(
      // The façade validates: nothing is known of the draft here.
      Effect.flatMap((draft) => publish(draft as never)),
      Effect.map(replyWith(Published)),
    )

const batch =
  (
    publishAll: (drafts: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Outcome>>,
  ): Answer<BodyError | InvalidRequest | CacheUnavailable | ShuttingDown> =>
  (source, response) =>
    receiveJson(source, response, maximumBytes.batch).pipe(
      Effect.flatMap(messagesOf),
      Effect.flatMap(publishAll),
      Effect.flatMap(resultsOf),
      Effect.map(replyWith(BatchResults)),
    )

/** The routes by their path; the method is POST. */
export const answers = (chatCache: ChatCache["Type"]) => ({
  "/messages": single(chatCache.publish),
  "/private-messages": single(chatCache.publishPrivate),
  "/messages/batch": batch(chatCache.publishAll),
  "/private-messages/batch": batch(chatCache.publishAllPrivate),
})

const handle =
  <E>(answer: Answer<E>) =>
  ({ request }: { readonly request: HttpServerRequest }) =>
    Effect.map(
      answer(
        NodeHttpServerRequest.toIncomingMessage(request),
        NodeHttpServerRequest.toServerResponse(request),
      ),
      ({ status, body }) => HttpServerResponse.unsafeJson(body, { status }),
    )

export const layer: Layer.Layer<
  ApiGroup<"chat-cache", "publishing">,
  never,
  ChatCache
> = HttpApiBuilder.group(Api, "publishing", (handlers) =>
  Effect.map(Effect.map(ChatCache, answers), (routes) =>
    handlers
      .handleRaw("publish", handle(routes["/messages"]))
      .handleRaw("publishPrivate", handle(routes["/private-messages"]))
      .handleRaw("publishBatch", handle(routes["/messages/batch"]))
      .handleRaw("publishPrivateBatch", handle(routes["/private-messages/batch"])),
  ),
)
