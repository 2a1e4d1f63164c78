import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import { Effect, type Layer } from "effect"
import { ChatCache } from "../services/ChatCache.ts"
import { Api, Deleted, RecentPrivate, RecentPublic } from "./Api.ts"
import { reply } from "./reply.ts"

const replyPublic = reply(RecentPublic)
const replyPrivate = reply(RecentPrivate)
const replyDeleted = reply(Deleted)

export const layer: Layer.Layer<ApiGroup<"chat-cache", "recent">, never, ChatCache> = HttpApiBuilder.group(
  Api,
  "recent",
  (handlers) =>
    Effect.map(ChatCache, (chatCache) =>
      handlers
        .handle("recent", ({ urlParams }) =>
          Effect.map(chatCache.recent(urlParams.limit, urlParams.channel), (messages) =>
            replyPublic({ messages }),
          ),
        )
        .handle("recentPrivate", ({ path, urlParams }) =>
          Effect.map(chatCache.recentPrivate(path.user_id, urlParams.limit), (messages) =>
            replyPrivate({ messages }),
          ),
        )
        .handle("clearPrivate", ({ path }) =>
          Effect.map(chatCache.clearPrivate(path.user_id), (deleted) => replyDeleted({ deleted })),
        )
        .handle("clearAllPrivate", () =>
          Effect.map(chatCache.clearPrivate(), (deleted) => replyDeleted({ deleted })),
        ),
    ),
)
