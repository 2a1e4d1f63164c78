import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Chunk, Duration, Effect, type Layer, Schedule, Schema, Stream } from "effect"
import type { StoreMisconfigured } from "../domain/Errors.ts"
import type { RecordedEvent } from "../domain/Event.ts"
import { ChatCache } from "../services/ChatCache.ts"
import { Api } from "./Api.ts"
import { bodyOf } from "./ErrorAnswers.ts"
import { TooManyListeners } from "./Errors.ts"
import { EventData } from "./EventsApi.ts"

export interface EventsOptions {
  /** How often a stream on which nothing happens shows that it is alive, to the client and to proxies on the way. */
  readonly heartbeat: Duration.DurationInput
  /** Each holds a connection for as long as it likes. */
  readonly maximumListeners: number
}

export const defaults: EventsOptions = { heartbeat: "15 seconds", maximumListeners: 100 }

/** nginx would collect the stream before it passes it on. */
const headers = { "x-accel-buffering": "no" }

const encodeData = Schema.encodeSync(EventData)

const utf8 = new TextEncoder()

const frame = (recorded: RecordedEvent): string =>
  `id: ${recorded.position}\nevent: ${recorded.event._tag}\ndata: ${encodeData(recorded)}\n\n`

const frames = (events: Chunk.Chunk<RecordedEvent>): Chunk.Chunk<Uint8Array> =>
  Chunk.of(utf8.encode(Chunk.toReadonlyArray(events).map(frame).join("")))

/** The status has been sent when this happens, so that the error comes as an event. The client may connect again. */
const failure = (error: StoreMisconfigured): Uint8Array =>
  utf8.encode(`event: ${error._tag}\ndata: ${JSON.stringify(bodyOf(error))}\n\n`)

/** The first of them lets the client know at once that it is connected, and how soon to come back. */
const greeting = utf8.encode("retry: 2000\n\n")
const heartbeat = utf8.encode(": nothing new\n\n")

export const layer = (
  options: EventsOptions,
): Layer.Layer<ApiGroup<"chat-cache", "events">, never, ChatCache> =>
  HttpApiBuilder.group(Api, "events", (handlers) =>
    Effect.map(ChatCache, (chatCache) => {
      let listeners = 0

      const place = Effect.acquireRelease(
        Effect.suspend(() => {
          if (listeners >= options.maximumListeners) {
            return new TooManyListeners({ maximum: options.maximumListeners })
          }
          listeners++
          return Effect.void
        }),
        () => Effect.sync(() => listeners--),
      )

      const stream = (after: number) =>
        chatCache.followEvents(after).pipe(
          Stream.mapChunks(frames),
          Stream.catchAll((error) => Stream.make(failure(error))),
          Stream.merge(Stream.as(Stream.fromSchedule(Schedule.spaced(options.heartbeat)), heartbeat), {
            haltStrategy: "left",
          }),
          (following) => Stream.concat(Stream.make(greeting), following),
        )

      return handlers.handleRaw("events", ({ headers: { "last-event-id": last }, request, urlParams }) =>
        Effect.map(place, () => {
          // Something is sent at every heartbeat, so that only a client that does not read has nothing move this long.
          const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
          socket.setTimeout(2 * Duration.toMillis(options.heartbeat))
          return HttpServerResponse.stream(stream(last ?? urlParams.after ?? 0), {
            contentType: "text/event-stream",
            headers,
          })
        }),
      )
    }),
  )
