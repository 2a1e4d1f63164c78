import * as HttpClient from "@effect/platform/HttpClient"
import type { HttpClientError } from "@effect/platform/HttpClientError"
import type { HttpClientRequest } from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import { Duration, Effect, Either, Predicate, Schema } from "effect"

export interface RetryOptions {
  /** How often a request is sent again at most. */
  readonly retries: number
  /** Told to wait longer than this, the client hands the error over instead. */
  readonly longestWait: Duration.Duration
}

/** Errors with which nothing was executed, and which pass. */
const refusals: ReadonlySet<unknown> = new Set([
  "QueueFull",
  "ShuttingDown",
  "TooManyUploads",
  "TooManyListeners",
])

/** Errors after which something may have been executed, or not. */
const unknowns: ReadonlySet<unknown> = new Set(["CacheUnavailable", "StoreUnavailable"])

const ErrorBody = Schema.Struct({
  _tag: Schema.String,
  execution: Schema.optional(Schema.String),
})
const decodeError = Schema.decodeUnknownEither(Schema.parseJson(ErrorBody))
const utf8 = new TextDecoder()
const decodeJson = Schema.decodeUnknownEither(Schema.parseJson())

const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "DELETE"])

const hasMessageId = (message: unknown): boolean => Predicate.hasProperty(message, "message_id")

/** Whether sending the request twice does what sending it once does: messages are the same by their `message_id`. */
const isRepeatable = ({ body, method }: HttpClientRequest): boolean => {
  if (idempotent.has(method)) return true
  if (body._tag !== "Uint8Array") return false
  const content = Either.getOrUndefined(decodeJson(utf8.decode(body.body)))
  return Predicate.hasProperty(content, "messages") && Array.isArray(content.messages)
    ? content.messages.every(hasMessageId)
    : hasMessageId(content)
}

/** How long the answer asks to wait, `undefined` when the request must not or need not be sent again. */
const waitOf = (request: HttpClientRequest, response: HttpClientResponse) =>
  Effect.gen(function* () {
    const seconds = Number(response.headers["retry-after"])
    if (response.status !== 503 || !(seconds >= 0)) return undefined
    // As bytes, which is how the body is read once more where it is decoded: one cannot be had both as text and as bytes.
    const body = decodeError(utf8.decode(yield* response.arrayBuffer))
    if (Either.isLeft(body)) return undefined
    const { _tag, execution } = body.right
    const wasRefused = refusals.has(_tag) || execution === "refused"
    const isWorthwhile = wasRefused || (unknowns.has(_tag) && isRepeatable(request))
    return isWorthwhile ? Duration.seconds(seconds) : undefined
  }).pipe(Effect.catchAll(() => Effect.succeed(undefined)))

const connectionLost = (error: HttpClientError): boolean =>
  error._tag === "RequestError" && error.reason === "Transport"

const waitAfterLoss = Duration.seconds(1)

/**
 * Sends a request again after the time that `Retry-After` asks for, where nothing of it was executed. Where it may have
 * been, or the connection broke, it is sent again only if that makes no difference. A user's rate limit is no failure,
 * and left to the caller.
 */
export const retryRefused =
  ({ retries, longestWait }: RetryOptions) =>
  (client: HttpClient.HttpClient): HttpClient.HttpClient =>
    HttpClient.transform(client, (send, request) => {
      const attempt = (left: number): Effect.Effect<HttpClientResponse, HttpClientError> => {
        const again = (wait: Duration.Duration) => Effect.zipRight(Effect.sleep(wait), attempt(left - 1))
        if (left === 0) return send
        return send.pipe(
          Effect.flatMap((response) =>
            Effect.flatMap(waitOf(request, response), (wait) =>
              wait === undefined || Duration.greaterThan(wait, longestWait)
                ? Effect.succeed(response)
                : again(wait),
            ),
          ),
          Effect.catchIf(
            (error) => connectionLost(error) && isRepeatable(request) && left > 0,
            () => again(waitAfterLoss),
          ),
        )
      }
      return attempt(retries)
    })
