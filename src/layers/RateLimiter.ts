import { Effect, Layer } from "effect"
import { type RateLimitSettings, rateLimitDecider } from "../domain/RateLimit.ts"
import { JournalState } from "../services/JournalState.ts"
import { MessageStore } from "../services/MessageStore.ts"
import { RateLimiter } from "../services/RateLimiter.ts"
import { RateLimitStore } from "../services/RateLimitStore.ts"
import { Settings } from "../services/Settings.ts"

const make = Effect.gen(function* () {
  const rateLimitStore = yield* RateLimitStore
  const journalState = yield* JournalState
  const store = yield* MessageStore
  const { rateLimit: configured } = yield* Settings

  const settings = Effect.gen(function* () {
    const inForce = yield* rateLimitStore.settings
    if (inForce !== undefined) return inForce
    const { state } = yield* journalState.lastKnown
    return state.rateLimit ?? configured
  }).pipe(Effect.withSpan("RateLimiter.settings"))

  /** The journal decides which settings are the newest, also when two processes change them at once. */
  const restore = Effect.gen(function* () {
    const { state, rateLimitPosition } = yield* journalState.refresh
    if (state.rateLimit !== undefined) yield* rateLimitStore.apply(state.rateLimit, rateLimitPosition)
  }).pipe(Effect.withSpan("RateLimiter.restore"))

  const updateSettings = Effect.fn("RateLimiter.updateSettings")(function* (command: RateLimitSettings) {
    const { state } = yield* journalState.refresh
    const events = yield* rateLimitDecider.decide(command, state.rateLimit)
    if (events.length > 0) yield* store.transaction((transaction) => transaction.journal(events))
    yield* restore
    return { message_limit: command.message_limit, window_seconds: command.window_seconds }
  })

  return RateLimiter.of({ settings, updateSettings, restore })
})

export const layer: Layer.Layer<RateLimiter, never, RateLimitStore | JournalState | MessageStore | Settings> =
  Layer.effect(RateLimiter, make)
