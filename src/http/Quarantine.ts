import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import { Effect, type Layer } from "effect"
import type * as Domain from "../domain/Quarantine.ts"
import { ChatCache } from "../services/ChatCache.ts"
import { Api, QuarantineEntries, QuarantineEntry } from "./Api.ts"
import { maximumBytes, readOptionalJson } from "./RequestBody.ts"
import { reply } from "./reply.ts"

export const defaultLimit = 100

const replyEntry = reply(QuarantineEntry)
const replyEntries = reply(QuarantineEntries)

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const rawOf = (bytes: Uint8Array): Pick<typeof QuarantineEntry.Encoded, "raw" | "raw_encoding"> => {
  try {
    return { raw: utf8.decode(bytes), raw_encoding: "utf-8" }
  } catch {
    return { raw: Buffer.from(bytes).toString("base64"), raw_encoding: "base64" }
  }
}

export const entryOf = (entry: Domain.QuarantineEntry): typeof QuarantineEntry.Encoded => ({
  id: entry.id,
  queue: entry.queue,
  cache_id: entry.cache_id,
  reason: entry.reason,
  sqlstate: entry.sqlstate,
  error: entry.error,
  ...rawOf(entry.raw),
  status: entry.status,
  quarantined_at: entry.quarantined_at,
  resolved_at: entry.resolved_at,
})

export const layer: Layer.Layer<
  ApiGroup<"chat-cache", "quarantine">,
  never,
  ChatCache
> = HttpApiBuilder.group(Api, "quarantine", (handlers) =>
  Effect.map(ChatCache, ({ quarantine }) =>
    handlers
      .handle("list", ({ urlParams }) =>
        Effect.map(quarantine.list({ ...urlParams, limit: urlParams.limit ?? defaultLimit }), (entries) =>
          replyEntries({ entries: entries.map(entryOf) }),
        ),
      )
      .handle("show", ({ path }) =>
        Effect.map(quarantine.show(path.id), (entry) => replyEntry(entryOf(entry))),
      )
      .handleRaw("replay", ({ path, request }) =>
        readOptionalJson(request, maximumBytes.single).pipe(
          Effect.flatMap((corrected) => quarantine.replay(path.id, corrected)),
          Effect.map((entry) => replyEntry(entryOf(entry))),
        ),
      )
      .handle("discard", ({ path }) => Effect.asVoid(quarantine.discard(path.id))),
  ),
)
