import * as Sse from "@effect/experimental/Sse"
import type * as HttpClient from "@effect/platform/HttpClient"
import { type HttpClientError, ResponseError } from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import { Chunk, Duration, Effect, Either, Schedule, Schema, Stream } from "effect"
import type { RecordedEvent } from "../domain/Event.ts"
import { errorAnswers as error } from "./ErrorAnswers.ts"
import { EventData } from "./EventsApi.ts"

/** Why events cannot be listened to, and trying again at once would not help. */
const EventsError = Schema.Union(
  error.InvalidRequest,
  error.Unauthorized,
  error.CrossSiteRequest,
  error.MisdirectedRequest,
  error.TooManyListeners,
  error.StoreMisconfigured,
  error.InternalError,
)
export type EventsError = typeof EventsError.Type

const decodeError = Schema.decodeUnknown(Schema.parseJson(EventsError))
const decodeErrorData = Schema.decodeUnknown(Schema.parseJson(error.StoreMisconfigured))
const decodeData = Schema.decodeUnknownEither(EventData)

/** The server shows that it is there every 15 seconds. */
const silentFor = Duration.seconds(45)

const reconnectAfter = Schedule.spaced("2 seconds")

type ListenError = EventsError | HttpClientError

const misread = (response: HttpClientResponse) => (cause: unknown) =>
  new ResponseError({ request: response.request, response, reason: "Decode", cause })

const refusal = (response: HttpClientResponse): Effect.Effect<never, ListenError> =>
  response.arrayBuffer.pipe(
    Effect.flatMap((bytes) => decodeError(new TextDecoder().decode(bytes))),
    Effect.catchTag("ParseError", (cause) => Effect.fail(misread(response)(cause))),
    Effect.flatMap(Effect.fail),
  )

const readEvents = (response: HttpClientResponse): Stream.Stream<RecordedEvent, ListenError> => {
  const received: Array<Sse.Event> = []
  const parser = Sse.makeParser((event) => {
    if (event._tag === "Event") received.push(event)
  })
  const read = ({ data, event }: Sse.Event): Effect.Effect<Chunk.Chunk<RecordedEvent>, ListenError> => {
    if (event === "StoreMisconfigured") {
      return Effect.flatMap(Effect.mapError(decodeErrorData(data), misread(response)), Effect.fail)
    }
    // A type that this version does not know is left to the one that does.
    return Effect.succeed(Either.match(decodeData(data), { onLeft: Chunk.empty, onRight: Chunk.of }))
  }
  const feed = (text: string): Effect.Effect<Chunk.Chunk<Sse.Event>, ListenError> => {
    const tooLarge = parser.feed(text)
    return tooLarge === undefined
      ? Effect.succeed(Chunk.unsafeFromArray(received.splice(0)))
      : Effect.fail(misread(response)(tooLarge))
  }
  const bytes: Stream.Stream<Uint8Array, ListenError> = response.stream
  return bytes.pipe(
    Stream.timeoutFail(() => misread(response)("the stream is silent"), silentFor),
    Stream.decodeText(),
    Stream.mapEffect(feed),
    Stream.flattenChunks,
    Stream.mapEffect(read),
    Stream.flattenChunks,
  )
}

const isTransient = (failure: ListenError): boolean =>
  failure._tag === "RequestError"
    ? failure.reason === "Transport"
    : failure._tag === "ResponseError" || failure._tag === "InternalError"

/**
 * What is recorded after a position, in order, and then what comes. Connects again, after the last event that it has
 * read, when the connection is lost or the server stops.
 */
export const listenToEvents =
  (client: HttpClient.HttpClient) =>
  (after = 0): Stream.Stream<RecordedEvent, ListenError> =>
    Stream.suspend(() => {
      let position = after
      const connection: Stream.Stream<RecordedEvent, ListenError> = Stream.suspend(() =>
        client.execute(HttpClientRequest.get("/events", { urlParams: { after: position } })).pipe(
          Effect.flatMap((response) =>
            response.status === 200 ? Effect.succeed(readEvents(response)) : refusal(response),
          ),
          Stream.unwrap,
          Stream.tap((event) => Effect.sync(() => (position = event.position))),
        ),
      )
      return connection.pipe(
        Stream.catchAll((failure) => (isTransient(failure) ? Stream.empty : Stream.fail(failure))),
        Stream.repeat(reconnectAfter),
      )
    })
