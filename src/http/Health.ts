import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import { Effect, type Layer } from "effect"
import { ChatCache } from "../services/ChatCache.ts"
import { Api, Live, NotReady, Ready } from "./Api.ts"
import { reply } from "./reply.ts"

const replyReady = reply(Ready)
const replyNotReady = reply(NotReady)

export const layer: Layer.Layer<ApiGroup<"chat-cache", "health">, never, ChatCache> = HttpApiBuilder.group(
  Api,
  "health",
  (handlers) =>
    Effect.map(ChatCache, (chatCache) =>
      handlers
        .handle("live", () => Effect.succeed(reply(Live)({ status: "ok" })))
        .handle("ready", () =>
          Effect.map(chatCache.readiness, ({ status, problems }) =>
            status === "unavailable" ? replyNotReady({ status, problems }) : replyReady({ status, problems }),
          ),
        ),
    ),
)
