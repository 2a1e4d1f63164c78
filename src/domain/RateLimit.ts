import { Either, Schema } from "effect"
import { InvalidRateLimitSettings } from "./Errors.ts"
import { type Event, RateLimitChanged } from "./Event.ts"
import { decodeWithProblems } from "./Validation.ts"

export const messageLimitMaximum = 1_000_000_000

/** A year of 365 days. */
export const windowSecondsMaximum = 31_536_000

const positiveInteger = (maximum: number) =>
  Schema.Number.annotations({ message: () => "must be a number" }).pipe(
    Schema.filter(
      (value) =>
        (Number.isInteger(value) && value >= 1 && value <= maximum) ||
        `must be an integer from 1 to ${maximum}`,
      { jsonSchema: { type: "integer", minimum: 1, maximum } },
    ),
  )

/** At most `message_limit` messages of one user within `window_seconds`. The window starts with the first message. */
export const RateLimitSettings = Schema.Struct({
  message_limit: positiveInteger(messageLimitMaximum),
  window_seconds: positiveInteger(windowSecondsMaximum),
}).annotations({ identifier: "RateLimitSettings", message: () => "must be an object" })
export type RateLimitSettings = typeof RateLimitSettings.Type

const decode = decodeWithProblems(RateLimitSettings)

/** The settings in force, or `undefined` while none were ever decided and the configured defaults hold. */
export type RateLimitState = RateLimitSettings | undefined

export const rateLimitDecider = {
  initial: undefined as RateLimitState,

  /** Changing to what is in force already changes nothing and says nothing. */
  decide: (
    command: { readonly message_limit: number; readonly window_seconds: number },
    state: RateLimitState,
  ): Either.Either<ReadonlyArray<RateLimitChanged>, InvalidRateLimitSettings> =>
    Either.mapBoth(decode(command), {
      onLeft: (problems) => new InvalidRateLimitSettings({ problems }),
      onRight: (settings) =>
        settings.message_limit === state?.message_limit && settings.window_seconds === state.window_seconds
          ? []
          : [new RateLimitChanged(settings)],
    }),

  evolve: (state: RateLimitState, event: Event): RateLimitState =>
    event._tag === "RateLimitChanged"
      ? { message_limit: event.message_limit, window_seconds: event.window_seconds }
      : state,
}
