import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import { Effect, Either, type Layer, Schema } from "effect"
import type { Accepted } from "../domain/Message.ts"
import { decodeWithProblems } from "../domain/Validation.ts"
import { ChatCache } from "../services/ChatCache.ts"
import type { PublishError } from "../services/Publisher.ts"
import { Api, type BatchResult, BatchResults, maximumBatch, Published } from "./Api.ts"
import { bodyOf } from "./ErrorAnswers.ts"
import { InvalidRequest } from "./Errors.ts"
import { maximumBytes, readJson } from "./RequestBody.ts"
import { reply } from "./reply.ts"

type Outcome = Either.Either<Accepted, PublishError>

const replyPublished = reply(Published)
const replyResults = reply(BatchResults)

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

/** Why nothing of a batch was executed, where that is the case: then the whole of it can be sent again. */
const refusalOfAll = (outcomes: ReadonlyArray<Outcome>) => {
  const errors = outcomes.map((outcome) => {
    const error = Either.isLeft(outcome) ? outcome.left : undefined
    const refused =
      error?._tag === "ShuttingDown" || (error?._tag === "CacheUnavailable" && error.execution === "refused")
    return refused ? error : undefined
  })
  return errors.includes(undefined) ? undefined : errors[0]
}

const replyOutcomes = (outcomes: ReadonlyArray<Outcome>) => {
  const refusal = refusalOfAll(outcomes)
  return refusal === undefined
    ? Effect.succeed(replyResults({ results: outcomes.map(resultOf) }))
    : Effect.fail(refusal)
}

export const layer: Layer.Layer<
  ApiGroup<"chat-cache", "publishing">,
  never,
  ChatCache
> = HttpApiBuilder.group(Api, "publishing", (handlers) =>
  Effect.map(ChatCache, (chatCache) => {
    const single =
      (publish: (draft: never) => Effect.Effect<Accepted, PublishError>) =>
      ({ request }: { readonly request: HttpServerRequest }) =>
        readJson(request, maximumBytes.single).pipe(
          // The façade validates: nothing is known of the draft here.
          Effect.flatMap((draft) => publish(draft as never)),
          Effect.map(replyPublished),
        )

    const batch =
      (publishAll: (drafts: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Outcome>>) =>
      ({ request }: { readonly request: HttpServerRequest }) =>
        readJson(request, maximumBytes.batch).pipe(
          Effect.flatMap(messagesOf),
          Effect.flatMap(publishAll),
          Effect.flatMap(replyOutcomes),
        )

    return handlers
      .handleRaw("publish", single(chatCache.publish))
      .handleRaw("publishPrivate", single(chatCache.publishPrivate))
      .handleRaw("publishBatch", batch(chatCache.publishAll))
      .handleRaw("publishPrivateBatch", batch(chatCache.publishAllPrivate))
  }),
)
