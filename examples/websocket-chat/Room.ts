/** The people who are connected: what one of them says is published, and shown to all. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Socket from "@effect/platform/Socket"
import { CachedPublicMessage, ChatCache, type PublishError } from "chat-cache"
import { Context, Deferred, Duration, Effect, Layer, PubSub, Schema, Stream, SubscriptionRef } from "effect"
import type * as net from "node:net"

/** What a browser sends. Whether it can be a message, the library says. */
const Said = Schema.parseJson(
  Schema.Struct({
    username: Schema.String,
    message: Schema.String,
    /** Chosen by the browser, so that saying it again after an unknown outcome is not saying it twice. */
    message_id: Schema.String,
  }),
)

/** What a browser gets. */
const Frame = Schema.parseJson(
  Schema.Union(
    Schema.Struct({ type: Schema.Literal("recent"), messages: Schema.Array(CachedPublicMessage) }),
    Schema.Struct({ type: Schema.Literal("message"), message: CachedPublicMessage }),
    Schema.Struct({
      type: Schema.Literal("refused"),
      /** Of the message that was refused; absent where it could not be read. */
      message_id: Schema.optional(Schema.String),
      error: Schema.Struct({
        _tag: Schema.String,
        message: Schema.String,
        retry_after_ms: Schema.optional(Schema.Number),
      }),
    }),
  ),
)
type Frame = typeof Frame.Type

const encode = Schema.encodeSync(Frame)

const channel = "general"
const recentShown = 50

/** Characters of one frame: more than any message takes, and few enough to be parsed at once. */
const maximumFrame = 512 * 1024

/** Messages of one browser that wait for their turn. Past it, the browser is cut off. */
const maximumWaiting = 100

/** Bytes that wait for one browser to read them. Past it, the browser is cut off, and may come back. */
const maximumBacklog = 1024 * 1024

/** How long browsers have to say goodbye. */
const closeWithin = Duration.seconds(1)

const goingAway = new Socket.CloseEvent(1001, "The server is going down.")
const tooMuch = new Socket.CloseEvent(1008, "These are too many messages at once.")
const tooLarge = new Socket.CloseEvent(1009, "The message is too large.")

const refusal = (message_id: string, error: PublishError): Frame => ({
  type: "refused",
  message_id,
  error: {
    _tag: error._tag,
    message: error.message,
    ...(error._tag === "RateLimited" ? { retry_after_ms: error.retry_after_ms } : {}),
  },
})

const unreadable: Frame = {
  type: "refused",
  error: {
    _tag: "InvalidFrame",
    message: "This is not a message: send username, message and message_id as JSON.",
  },
}

/** A page of another site can open a WebSocket to any server; its browser says where it comes from. */
const isFromElsewhere = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers["origin"] !== undefined && headers["origin"] !== `http://${headers["host"]}`

const make = Effect.gen(function* () {
  const chat = yield* ChatCache
  const said = yield* PubSub.sliding<CachedPublicMessage>(1024)
  const closing = yield* Deferred.make<void>()
  const connected = yield* SubscriptionRef.make(0)

  const publish = ({ username, message, message_id }: typeof Said.Type) => {
    // An application takes the id from its login. This one believes everybody.
    const draft = { owner_id: username, username, channel, message, message_id }
    return Effect.flatMap(chat.publish(draft), (accepted) => PubSub.publish(said, { ...draft, ...accepted }))
  }

  const converse = (socket: Socket.Socket, connection: net.Socket) =>
    Effect.gen(function* () {
      const write = yield* socket.writer
      const send = (frame: Frame) =>
        Effect.suspend(() => {
          if (connection.writableLength <= maximumBacklog) return write(encode(frame))
          return new Socket.SocketCloseError({
            reason: "Close",
            code: 1013,
            closeReason: "It does not read.",
          })
        })

      const answer = (data: string | Uint8Array) =>
        Schema.decodeUnknown(Said)(data).pipe(
          Effect.matchEffect({
            onFailure: () => send(unreadable),
            onSuccess: (words) =>
              Effect.catchAll(publish(words), (error) => send(refusal(words.message_id, error))),
          }),
        )

      // Published at the same time, one message may overtake another. One after the other they stay in order.
      const inTurn = yield* Effect.makeSemaphore(1)
      let waiting = 0
      const receive = (data: string | Uint8Array) => {
        if (data.length > maximumFrame) return write(tooLarge)
        if (waiting === maximumWaiting) return write(tooMuch)
        waiting++
        return Effect.ensuring(
          inTurn.withPermits(1)(answer(data)),
          Effect.sync(() => waiting--),
        )
      }

      const tell = Effect.gen(function* () {
        // Listening begins before the recent messages are read: what is said in between is in both, and shown once.
        const live = yield* Stream.fromPubSub(said, { scoped: true })
        const messages = yield* chat.recent(recentShown).pipe(
          // Chat goes on without the past.
          Effect.catchAll((error) => Effect.as(Effect.logWarning(error.message), [])),
        )
        const shown = new Set(messages.map(({ message_id }) => message_id))
        yield* send({ type: "recent", messages })
        yield* live.pipe(
          Stream.filter(({ message_id }) => !shown.has(message_id)),
          Stream.interruptWhenDeferred(closing),
          Stream.runForEach((message) => send({ type: "message", message })),
        )
        yield* write(goingAway)
        yield* Effect.sleep(closeWithin)
      })

      yield* Effect.addFinalizer(() => Effect.sync(() => connection.destroy()))
      yield* Effect.acquireRelease(
        SubscriptionRef.update(connected, (count) => count + 1),
        () => SubscriptionRef.update(connected, (count) => count - 1),
      )
      yield* Effect.raceFirst(socket.runRaw(receive), tell)
    }).pipe(
      Effect.scoped,
      Effect.catchTag("SocketError", (error) => Effect.logDebug(`A connection ended: ${error.message}`)),
    )

  return Room.of({
    enter: Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      if (isFromElsewhere(request)) return HttpServerResponse.empty({ status: 403 })
      const socket = yield* request.upgrade
      yield* converse(socket, NodeHttpServerRequest.toIncomingMessage(request).socket)
      return HttpServerResponse.empty()
    }).pipe(Effect.catchTag("RequestError", () => HttpServerResponse.empty({ status: 426 }))),

    close: Effect.gen(function* () {
      yield* Deferred.succeed(closing, undefined)
      yield* connected.changes.pipe(
        Stream.takeUntil((count) => count === 0),
        Stream.runDrain,
      )
    }),
  })
})

export class Room extends Context.Tag("websocket-chat/Room")<
  Room,
  {
    /** The answer to a request for a WebSocket, which lasts as long as the conversation. */
    readonly enter: Effect.Effect<
      HttpServerResponse.HttpServerResponse,
      never,
      HttpServerRequest.HttpServerRequest
    >
    /** Tells everybody that the server is going down, and returns when they have gone. */
    readonly close: Effect.Effect<void>
  }
>() {
  static readonly layer: Layer.Layer<Room, never, ChatCache> = Layer.effect(Room, make)
}
