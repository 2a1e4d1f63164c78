/** A small chat: a page, a WebSocket, and chat-cache inside. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { ChatCache, ChatCacheLayer, ServersTemporary, SettingsConfig } from "chat-cache"
import { Config, Console, Effect, Layer } from "effect"
import * as http from "node:http"
import { fileURLToPath } from "node:url"
import { Room } from "./Room.ts"

const headers = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cache-control": "no-cache",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
}

const file = (name: string) =>
  HttpServerResponse.file(fileURLToPath(new URL(`page/${name}`, import.meta.url)), { headers })

const routes = HttpRouter.empty.pipe(
  HttpRouter.get("/", file("index.html")),
  HttpRouter.get("/chat.js", file("chat.js")),
  HttpRouter.get("/chat.css", file("chat.css")),
  HttpRouter.get(
    "/chat",
    Effect.flatMap(Room, ({ enter }) => enter),
  ),
)

/** What is closed first, while everything below still works: everybody is told, and what was said is stored. */
const lifecycle = Layer.scopedDiscard(
  Effect.gen(function* () {
    const chat = yield* ChatCache
    const room = yield* Room
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        yield* room.close
        const { public: drained } = yield* chat.shutdown
        yield* Console.log(
          `Stopped: ${drained.persisted} messages stored, ${drained.remaining ?? "some"} still queued.`,
        )
      }),
    )
    yield* HttpServer.addressFormattedWith((address) => Console.log(`The chat listens on ${address}`))
  }),
)

const listening = (port: number) => {
  const server = http.createServer()
  // Browsers hold connections on which they ask nothing: they must not keep the server from closing.
  const closing = Effect.addFinalizer(() =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    }),
  )
  return Layer.provideMerge(
    Layer.scopedDiscard(closing),
    NodeHttpServer.layer(() => server, { host: "127.0.0.1", port }),
  )
}

const server = Layer.unwrapEffect(Effect.map(Config.integer("PORT").pipe(Config.withDefault(0)), listening))

const application = lifecycle.pipe(
  Layer.provide(HttpServer.serve(routes)),
  Layer.provide(server),
  Layer.provide(Room.layer),
  Layer.provide(ChatCacheLayer.layer),
  Layer.provide(Layer.merge(SettingsConfig.layerConfig, ServersTemporary.layerConfig)),
)

NodeRuntime.runMain(Layer.launch(application))
