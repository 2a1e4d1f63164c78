/** `GET /openapi.json`, and `GET /docs`, a page that has everything in it that it needs. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import { Effect, type Layer } from "effect"

/** The routes of this file, which are not of the API that they document. */
export const paths = ["/openapi.json", "/docs"] as const

/** Whoever is the first to ask must not take it from the others by leaving. */
const pages = Effect.promise(() => import("./documentation/pages.ts")).pipe(
  Effect.flatMap((loaded) => loaded.pages),
  Effect.uninterruptible,
)

export const layer: Layer.Layer<never> = HttpApiBuilder.Router.use((router) =>
  Effect.flatMap(Effect.cached(pages), (shared) =>
    Effect.forEach(paths, (path) => router.get(path, Effect.flatten(shared)), { discard: true }),
  ),
)
