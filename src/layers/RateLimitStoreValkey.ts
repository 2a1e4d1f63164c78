import { Effect, Layer, Option, Schema } from "effect"
import { RateLimitSettings } from "../domain/RateLimit.ts"
import { RateLimitStore } from "../services/RateLimitStore.ts"
import { Settings } from "../services/Settings.ts"
import { Valkey } from "../services/Valkey.ts"
import * as Keys from "./valkey/Keys.ts"
import { scanPages } from "./valkey/scanPages.ts"
import * as Script from "./valkey/Script.ts"

const isMessageLimit = Schema.is(RateLimitSettings.fields.message_limit)
const isWindow = Schema.is(RateLimitSettings.fields.window_seconds)

/** As publishMessages reads them: digits alone, and within the bounds of the domain. */
const inForce = (text: string | null, isValid: (value: number) => boolean): Option.Option<number> =>
  text !== null && /^\d+$/.test(text) ? Option.filter(Option.some(Number(text)), isValid) : Option.none()

const make = Effect.gen(function* () {
  const valkey = yield* Valkey
  const { keyPrefix, rateLimit: configured } = yield* Settings
  const keys = Keys.make(keyPrefix)
  const applySettings = yield* Script.load("applyRateLimitSettings-1")
  let cappedPosition = -1

  const settings = Effect.gen(function* () {
    const reply = yield* valkey.send("read rate limit", [
      "hmget",
      keys.rateLimitSettings,
      "message_limit",
      "window_seconds",
    ])
    const [limit, window] = reply as [string | null, string | null]
    const messageLimit = inForce(limit, isMessageLimit)
    const windowSeconds = inForce(window, isWindow)
    if (Option.isNone(messageLimit) && Option.isNone(windowSeconds)) return undefined
    return {
      message_limit: Option.getOrElse(messageLimit, () => configured.message_limit),
      window_seconds: Option.getOrElse(windowSeconds, () => configured.window_seconds),
    }
  })

  /** LT leaves counters that end sooner as they are, and gives one that has lost its TTL a new one. */
  const capCounters = (windowSeconds: number) =>
    scanPages(valkey, "apply rate limit", keys.everyRateLimit, (limiters) =>
      valkey.sendAll(
        "apply rate limit",
        limiters.map((limiter) => ["pexpire", limiter, windowSeconds * 1000, "LT"] as const),
      ),
    )

  const apply = Effect.fn("RateLimitStore.apply")(function* (next: RateLimitSettings, position: number) {
    const applied = yield* valkey.run(
      "apply rate limit",
      applySettings,
      [keys.rateLimitSettings],
      [next.message_limit, next.window_seconds, position],
    )
    // Settings that are in force already may be so because an earlier call was cut off before it capped the counters.
    if (applied === 1 || (applied === 0 && cappedPosition !== position)) {
      yield* capCounters(next.window_seconds)
      cappedPosition = position
    }
  })

  return RateLimitStore.of({ settings: settings.pipe(Effect.withSpan("RateLimitStore.settings")), apply })
})

export const layer: Layer.Layer<RateLimitStore, never, Valkey | Settings> = Layer.effect(RateLimitStore, make)
