import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Effect, type Layer } from "effect"
import * as statusGauges from "../layers/statusGauges.ts"
import { ChatCache } from "../services/ChatCache.ts"
import { Api } from "./Api.ts"

/** Loaded when it is asked for: the daemon is ready sooner without it. */
const prometheusText = Effect.gen(function* () {
  const { contentType, make } = yield* Effect.promise(() => import("../layers/PrometheusText.ts"))
  return { contentType, text: yield* make }
})

export const layer: Layer.Layer<ApiGroup<"chat-cache", "metrics">, never, ChatCache> = HttpApiBuilder.group(
  Api,
  "metrics",
  (handlers) =>
    Effect.gen(function* () {
      const chatCache = yield* ChatCache
      const prometheus = yield* Effect.cached(prometheusText)
      return handlers.handle("metrics", () =>
        Effect.gen(function* () {
          yield* Effect.flatMap(chatCache.status, statusGauges.set)
          const { contentType, text } = yield* prometheus
          return HttpServerResponse.text(yield* Effect.promise(text), {
            contentType,
            headers: { "cache-control": "no-store" },
          })
        }),
      )
    }),
)
