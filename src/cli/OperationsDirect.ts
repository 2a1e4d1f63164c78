import { Effect, Layer } from "effect"
import { UnsafeConfiguration } from "../domain/Errors.ts"
import type { PrivateMessageDraft, PublicMessageDraft } from "../domain/Message.ts"
import { flushReport, statusReport } from "../http/Operation.ts"
import { entryOf } from "../http/Quarantine.ts"
import * as ChatCacheLayer from "../layers/ChatCache.ts"
import { ChatCache } from "../services/ChatCache.ts"
import { CacheHealth } from "../services/Health.ts"
import { Settings } from "../services/Settings.ts"
import * as Connections from "./Connections.ts"
import { Operations } from "./Operations.ts"

const make = Effect.gen(function* () {
  const chat = yield* ChatCache
  const cacheHealth = yield* CacheHealth
  const { allowUnsafe } = yield* Settings

  /** What the daemon does not start with, a command does not entrust a message to either. */
  const refuseUnsafe = Effect.flatMap(cacheHealth.findings, (findings) => {
    const unsafe = findings.find(
      ({ severity, check }) => severity === "unsafe" && !allowUnsafe.includes(check),
    )
    return unsafe === undefined
      ? Effect.void
      : Effect.fail(new UnsafeConfiguration({ check: unsafe.check, reason: unsafe.reason }))
  })

  return Operations.of({
    publish: (queue, draft) =>
      Effect.zipRight(
        refuseUnsafe,
        queue === "public"
          ? chat.publish(draft as PublicMessageDraft)
          : chat.publishPrivate(draft as PrivateMessageDraft),
      ),
    recent: ({ user, channel, limit }) =>
      user === undefined ? chat.recent(limit, channel) : chat.recentPrivate(user, limit),
    history: ({ user, ...query }) =>
      user === undefined ? chat.history(query) : chat.privateHistory(user, query),
    clearPrivate: chat.clearPrivate,
    delete: (queue, messageId) =>
      queue === "public" ? chat.delete(messageId) : chat.deletePrivate(messageId),
    flush: Effect.map(chat.flush, (reports) => ({
      public: flushReport(reports.public),
      private: flushReport(reports.private),
    })),
    status: Effect.map(chat.status, (report) => ({
      ...statusReport(report),
      instance_id: null,
      started_at: null,
    })),
    rateLimit: chat.rateLimitSettings,
    updateRateLimit: ({ message_limit, window_seconds }) =>
      chat.updateRateLimitSettings(message_limit, window_seconds),
    quarantine: {
      list: (filter) => Effect.map(chat.quarantine.list(filter), (entries) => entries.map(entryOf)),
      show: (id) => Effect.map(chat.quarantine.show(id), entryOf),
      replay: (id, corrected) => Effect.map(chat.quarantine.replay(id, corrected), entryOf),
      discard: (id) => Effect.asVoid(chat.quarantine.discard(id)),
    },
    events: (after) => chat.events(after),
  })
})

/** The operations on the servers of the environment, or on those that a daemon runs on the data directory. */
export const layer = Layer.effect(Operations, make).pipe(
  Layer.provide(ChatCacheLayer.layerOnDemand),
  Layer.provide(Connections.layer),
)
