import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import { Chunk, Effect, type Layer, Schema, Stream } from "effect"
import { RecordedEvent } from "../domain/Event.ts"
import { ChatCache } from "../services/ChatCache.ts"
import { Api, Journal } from "./Api.ts"
import { reply } from "./reply.ts"

const defaultLimit = 100

const replyJournal = reply(Journal)

export const encodeEvent = Schema.encodeSync(RecordedEvent)

export const layer: Layer.Layer<ApiGroup<"chat-cache", "journal">, never, ChatCache> = HttpApiBuilder.group(
  Api,
  "journal",
  (handlers) =>
    Effect.map(ChatCache, (chatCache) =>
      handlers.handle("journal", ({ urlParams }) =>
        chatCache.events(urlParams.after).pipe(
          Stream.take(urlParams.limit ?? defaultLimit),
          Stream.runCollect,
          Effect.map((events) =>
            replyJournal({ events: Chunk.toReadonlyArray(events).map((event) => encodeEvent(event)) }),
          ),
        ),
      ),
    ),
)
