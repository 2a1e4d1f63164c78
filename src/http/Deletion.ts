import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import { Effect, type Layer } from "effect"
import { ChatCache } from "../services/ChatCache.ts"
import { Api } from "./Api.ts"

export const layer: Layer.Layer<ApiGroup<"chat-cache", "deletion">, never, ChatCache> = HttpApiBuilder.group(
  Api,
  "deletion",
  (handlers) =>
    Effect.map(ChatCache, (chatCache) =>
      handlers
        .handle("delete", ({ path }) => chatCache.delete(path.message_id))
        .handle("deletePrivate", ({ path }) => chatCache.deletePrivate(path.message_id)),
    ),
)
