import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "fast-check"
import { RateLimitChanged } from "../../src/domain/Event.ts"
import {
  messageLimitMaximum,
  rateLimitDecider,
  type RateLimitState,
  windowSecondsMaximum,
} from "../../src/domain/RateLimit.ts"
import type { Problem } from "../../src/domain/Validation.ts"
import { event } from "../support/arbitraries.ts"

const { decide, evolve, initial } = rateLimitDecider
const settings = { message_limit: 10, window_seconds: 60 }

describe("rateLimitDecider.decide", () => {
  it.each<[name: string, command: typeof settings, state: RateLimitState, changes: boolean]>([
    ["the first settings", settings, initial, true],
    ["the settings in force", { ...settings }, settings, false],
    ["another limit", { ...settings, message_limit: 11 }, settings, true],
    ["another window", { ...settings, window_seconds: 61 }, settings, true],
    ["the least", { message_limit: 1, window_seconds: 1 }, settings, true],
    [
      "the most",
      { message_limit: messageLimitMaximum, window_seconds: windowSecondsMaximum },
      settings,
      true,
    ],
  ])("%s", (_, command, state, changes) => {
    assert.deepStrictEqual(
      decide(command, state),
      Either.right(changes ? [new RateLimitChanged(command)] : []),
    )
  })

  const limitProblem = { field: "message_limit", problem: "must be an integer from 1 to 1000000000" }
  const windowProblem = { field: "window_seconds", problem: "must be an integer from 1 to 31536000" }

  it.each<[name: string, command: unknown, problems: ReadonlyArray<Problem>]>([
    ["nothing at all", undefined, [{ field: "", problem: "must be an object" }]],
    ["no limit", { window_seconds: 60 }, [{ field: "message_limit", problem: "is missing" }]],
    [
      "a limit in quotes",
      { ...settings, message_limit: "10" },
      [{ field: "message_limit", problem: "must be a number" }],
    ],
    ["a limit of 0", { ...settings, message_limit: 0 }, [limitProblem]],
    ["a limit of NaN", { ...settings, message_limit: Number.NaN }, [limitProblem]],
    ["an infinite limit", { ...settings, message_limit: Number.POSITIVE_INFINITY }, [limitProblem]],
    ["too high a limit", { ...settings, message_limit: messageLimitMaximum + 1 }, [limitProblem]],
    ["half a second", { ...settings, window_seconds: 0.5 }, [windowProblem]],
    ["too long a window", { ...settings, window_seconds: windowSecondsMaximum + 1 }, [windowProblem]],
    ["both wrong", { message_limit: -1, window_seconds: 0 }, [limitProblem, windowProblem]],
  ])("refuses %s", (_, command, problems) => {
    // What comes in through a door is not checked before it gets here.
    const refused = Either.flip(decide(command as typeof settings, settings)).pipe(Either.getOrThrow)
    assert.deepStrictEqual(refused.problems, problems)
  })

  const few = (maximum: number) =>
    fc.oneof(fc.integer({ min: -1, max: 3 }), fc.constantFrom(0.5, maximum + 1))

  it.prop(
    "whatever is asked for, the last valid settings are in force and only changes are events",
    [
      fc.array(
        fc.record({ message_limit: few(messageLimitMaximum), window_seconds: few(windowSecondsMaximum) }),
      ),
    ],
    ([commands]) => {
      let state = initial
      for (const command of commands) {
        const isValid = Object.values(command).every(
          (value) => Number.isInteger(value) && value >= 1 && value <= 3,
        )
        const decided = decide(command, state)
        assert.strictEqual(Either.isRight(decided), isValid)
        const events = Either.getOrElse(decided, () => [])
        assert.strictEqual(
          events.length > 0,
          isValid &&
            (command.message_limit !== state?.message_limit ||
              command.window_seconds !== state.window_seconds),
        )
        state = events.reduce(evolve, state)
        if (isValid) {
          assert.deepStrictEqual(state, command)
          assert.deepStrictEqual(decide(command, state), Either.right([]))
        }
      }
    },
  )
})

it.prop("rateLimitDecider.evolve knows RateLimitChanged alone", [event], ([happened]) => {
  assert.deepStrictEqual(
    evolve(settings, happened),
    happened._tag === "RateLimitChanged"
      ? { message_limit: happened.message_limit, window_seconds: happened.window_seconds }
      : settings,
  )
})
