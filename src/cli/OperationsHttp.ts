import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import {
  Cause,
  Chunk,
  Duration,
  Config,
  Effect,
  Either,
  Layer,
  Option,
  ParseResult,
  Redacted,
  Schema,
  Stream,
} from "effect"
import { InvalidMessage } from "../domain/Errors.ts"
import type { HistoryPage } from "../domain/History.ts"
import { type CachedMessage, PrivateMessageDraft, PublicMessageDraft } from "../domain/Message.ts"
import { decodeWithProblems, type Problem } from "../domain/Validation.ts"
import { Api, QuarantineEntry } from "../http/Api.ts"
import { type ErrorAnswer, errorAnswers, isErrorAnswer } from "../http/ErrorAnswers.ts"
import { DaemonUnreachable, UnexpectedAnswer } from "./Errors.ts"
import { type OperationError, Operations } from "./Operations.ts"

const answerWithin = Duration.seconds(30)

/** A flush goes on for as long as there is something queued. */
const flushWithin = Duration.minutes(10)

const eventPageSize = 500

const decodePublic = decodeWithProblems(PublicMessageDraft)
const decodePrivate = decodeWithProblems(PrivateMessageDraft)

const AnyErrorAnswer = Schema.Union(...Object.values(errorAnswers)) as Schema.Schema<ErrorAnswer, unknown>

const transportReason = ({ cause, reason }: HttpClientError.RequestError): string => {
  const inner = cause instanceof Error ? (cause.cause ?? cause) : cause
  const code = (inner as { readonly code?: unknown } | undefined)?.code
  return typeof code === "string" ? code : inner instanceof Error ? inner.message : reason
}

/** What a call of the client can fail with. */
type ClientFailure =
  | ErrorAnswer
  | HttpApiDecodeError
  | HttpClientError.HttpClientError
  | ParseResult.ParseError
  | Cause.TimeoutException

const describe =
  (url: string) =>
  (error: ClientFailure): OperationError => {
    if (isErrorAnswer(error)) return error
    if (Cause.isTimeoutException(error)) {
      return new DaemonUnreachable({ url, reason: "it does not answer in time" })
    }
    if (HttpClientError.isHttpClientError(error)) {
      return error._tag === "RequestError"
        ? new DaemonUnreachable({ url, reason: transportReason(error) })
        : new UnexpectedAnswer({ url, reason: `status ${error.response.status}` })
    }
    return new UnexpectedAnswer({
      url,
      reason: ParseResult.isParseError(error) ? "its answer has another shape" : String(error),
    })
  }

const decodeEntry = HttpClientResponse.schemaBodyJson(QuarantineEntry)
const decodeErrorAnswer = HttpClientResponse.schemaBodyJson(AnyErrorAnswer)

/** `HttpApiClient` insists on the body that the route does not: without one the message is replayed as it was. */
const replay = (
  client: HttpClient.HttpClient,
  id: number,
  corrected: unknown,
): Effect.Effect<typeof QuarantineEntry.Type, ClientFailure> => {
  const request = HttpClientRequest.post(`/quarantine/${id}/replay`)
  return Effect.flatMap(
    client.execute(corrected === undefined ? request : HttpClientRequest.bodyUnsafeJson(request, corrected)),
    (response): Effect.Effect<typeof QuarantineEntry.Type, ClientFailure> =>
      response.status === 200
        ? decodeEntry(response)
        : Effect.flatMap(decodeErrorAnswer(response), (error) => Effect.fail(error)),
  )
}

/** Without what is undefined, which a parameter of a query cannot be. */
const given = <Fields extends object>(fields: Fields) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    readonly [Name in keyof Fields]?: Exclude<Fields[Name], undefined>
  }

const make = (url: string) =>
  Effect.gen(function* () {
    const token = yield* Config.option(Config.redacted("CHAT_CACHE_API_TOKEN"))
    const authorize = Option.match(token, {
      onNone: () => (request: HttpClientRequest.HttpClientRequest) => request,
      onSome: (secret) => HttpClientRequest.bearerToken(Redacted.value(secret)),
    })
    const transform = (client: HttpClient.HttpClient) =>
      client.pipe(
        HttpClient.mapRequest(HttpClientRequest.prependUrl(url.replace(/\/+$/, ""))),
        HttpClient.mapRequest(authorize),
      )
    const client = yield* HttpApiClient.make(Api, { transformClient: transform })
    const plainClient = transform(yield* HttpClient.HttpClient)

    const asked = <A>(effect: Effect.Effect<A, ClientFailure>, within = answerWithin) =>
      effect.pipe(Effect.timeout(within), Effect.mapError(describe(url)))

    const publish = <Draft, A>(
      draft: Either.Either<Draft, ReadonlyArray<Problem>>,
      send: (draft: Draft) => Effect.Effect<A, ClientFailure>,
    ): Effect.Effect<A, OperationError> =>
      Either.match(draft, {
        onLeft: (problems) => Effect.fail(new InvalidMessage({ problems })),
        onRight: (valid) => asked(send(valid)),
      })

    return Operations.of({
      publish: (queue, draft) =>
        queue === "public"
          ? publish(decodePublic(draft), (payload) => client.publishing.publish({ payload }))
          : publish(decodePrivate(draft), (payload) => client.publishing.publishPrivate({ payload })),
      recent: ({ user, channel, limit }) => {
        const urlParams = given({ limit, channel })
        return asked<{ readonly messages: ReadonlyArray<never> }>(
          (user === undefined
            ? client.recent.recent({ urlParams })
            : client.recent.recentPrivate({ path: { user_id: user }, urlParams })) as never,
        ).pipe(Effect.map(({ messages }) => messages))
      },
      history: ({ user, channel, before, after, limit }) => {
        const range = given({ before, after, limit })
        return asked<HistoryPage<CachedMessage>>(
          user === undefined
            ? client.history.history({ urlParams: { ...range, ...given({ channel }) } })
            : client.history.privateHistory({ path: { user_id: user }, urlParams: range }),
        )
      },
      clearPrivate: (user) =>
        asked(
          user === undefined
            ? client.recent.clearAllPrivate()
            : client.recent.clearPrivate({ path: { user_id: user } }),
        ).pipe(Effect.map(({ deleted }) => deleted)),
      delete: (queue, message_id) =>
        asked(
          queue === "public"
            ? client.deletion.delete({ path: { message_id } })
            : client.deletion.deletePrivate({ path: { message_id } }),
        ),
      flush: asked(client.operation.flush(), flushWithin),
      status: asked(client.operation.status()),
      rateLimit: asked(client.operation.rateLimit()),
      updateRateLimit: (payload) => asked(client.operation.updateRateLimit({ payload })),
      quarantine: {
        list: ({ queue, status, after, limit }) =>
          asked(
            client.quarantine.list({
              urlParams: {
                limit,
                ...(queue === undefined ? {} : { queue }),
                ...(status === undefined ? {} : { status }),
                ...(after === undefined ? {} : { after }),
              },
            }),
          ).pipe(Effect.map(({ entries }) => entries)),
        show: (id) => asked(client.quarantine.show({ path: { id } })),
        replay: (id, corrected) => asked(replay(plainClient, id, corrected)),
        discard: (id) => asked(client.quarantine.discard({ path: { id } })),
      },
      events: (from) =>
        Stream.paginateChunkEffect(from, (after) =>
          asked(client.journal.journal({ urlParams: { after, limit: eventPageSize } })).pipe(
            Effect.map(({ events }) => [
              Chunk.fromIterable(events),
              events.length === eventPageSize ? Option.some(events.at(-1)!.position) : Option.none(),
            ]),
          ),
        ),
    })
  })

/** The operations by way of a daemon. */
export const layer = (url: string) =>
  Layer.effect(Operations, make(url)).pipe(Layer.provide(FetchHttpClient.layer))
