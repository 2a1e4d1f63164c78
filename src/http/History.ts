import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import { Effect, type Layer } from "effect"
import { ChatCache } from "../services/ChatCache.ts"
import { Api } from "./Api.ts"
import { PrivatePage, PublicPage } from "./HistoryApi.ts"
import { reply } from "./reply.ts"

const replyPublic = reply(PublicPage)
const replyPrivate = reply(PrivatePage)

export const layer: Layer.Layer<ApiGroup<"chat-cache", "history">, never, ChatCache> = HttpApiBuilder.group(
  Api,
  "history",
  (handlers) =>
    Effect.map(ChatCache, (chatCache) =>
      handlers
        .handle("history", ({ urlParams }) => Effect.map(chatCache.history(urlParams), replyPublic))
        .handle("privateHistory", ({ path, urlParams }) =>
          Effect.map(chatCache.privateHistory(path.user_id, urlParams), replyPrivate),
        ),
    ),
)
