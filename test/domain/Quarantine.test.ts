import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as fc from "fast-check"
import { QuarantineEntryResolved } from "../../src/domain/Errors.ts"
import { type Event, QuarantineDiscarded, QuarantineReplayed } from "../../src/domain/Event.ts"
import {
  type QuarantineCommand,
  quarantineDecider,
  type QuarantineState,
  type QuarantineStatus,
} from "../../src/domain/Quarantine.ts"
import { event, messageId } from "../support/arbitraries.ts"

const { decide, evolve, initial } = quarantineDecider

const message_id = "0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11"
const discard: QuarantineCommand = { _tag: "Discard" }
const replay = {
  _tag: "Replay",
  messageId: message_id,
  corrected: false,
  addedRow: true,
  tookCacheId: false,
} as const
const replayCorrected = { ...replay, corrected: true, tookCacheId: true } as const

const identity = { queue: "private", quarantine_id: 7 } as const
const discarded = new QuarantineDiscarded(identity)
const replayed = new QuarantineReplayed({
  ...identity,
  message_id,
  corrected: false,
  added_row: true,
  took_cache_id: false,
})
const replayedCorrected = new QuarantineReplayed({
  ...identity,
  message_id,
  corrected: true,
  added_row: true,
  took_cache_id: true,
})

type Decided = ReturnType<typeof decide>

const refusedAs = (status: "replayed" | "discarded"): Decided =>
  Either.left(new QuarantineEntryResolved({ id: 7, status }))

describe("quarantineDecider", () => {
  it.each<[status: QuarantineStatus, name: string, command: QuarantineCommand, expected: Decided]>([
    ["open", "discard", discard, Either.right([discarded])],
    ["open", "replay", replay, Either.right([replayed])],
    ["open", "replay corrected", replayCorrected, Either.right([replayedCorrected])],
    ["discarded", "discard", discard, Either.right([])],
    ["discarded", "replay", replay, refusedAs("discarded")],
    ["discarded", "replay corrected", replayCorrected, refusedAs("discarded")],
    ["replayed", "discard", discard, refusedAs("replayed")],
    ["replayed", "replay", replay, Either.right([])],
    ["replayed", "replay corrected", replayCorrected, refusedAs("replayed")],
  ])("%s: %s", (status, _, command, expected) => {
    assert.deepStrictEqual(decide(command, { id: 7, queue: "private", status }), expected)
  })

  it.each([
    { happened: discarded, status: "discarded" },
    { happened: replayed, status: "replayed" },
    { happened: replayedCorrected, status: "replayed" },
  ])("an open entry is $status by $happened._tag", ({ happened, status }) => {
    assert.deepStrictEqual<object>(evolve(initial(7, "private"), happened), {
      id: 7,
      queue: "private",
      status,
    })
  })

  it.prop("what happens elsewhere changes nothing", [event], ([happened]) => {
    const elsewhere = "quarantine_id" in happened ? happened.quarantine_id + 1 : 1
    const state = initial(elsewhere, "public")
    assert.deepStrictEqual(evolve(state, happened), state)
  })

  const command: fc.Arbitrary<QuarantineCommand> = fc.oneof(
    fc.constant(discard),
    fc.record({
      _tag: fc.constant("Replay" as const),
      messageId,
      corrected: fc.boolean(),
      addedRow: fc.boolean(),
      tookCacheId: fc.boolean(),
    }),
  )

  it.prop(
    "whatever is asked for, it happens once, and what is resolved stays as it is",
    [fc.array(command, { minLength: 1 })],
    ([commands]) => {
      const opened = initial(7, "public")
      const events: Array<Event> = []
      let state: QuarantineState = opened
      for (const next of commands) {
        const decided = decide(next, state)
        if (Either.isLeft(decided)) assert.strictEqual(decided.left.status, state.status)
        else events.push(...decided.right)
        state = events.reduce(evolve, opened)
      }
      assert.lengthOf(events, 1)
      assert.strictEqual(state.status, commands[0]!._tag === "Discard" ? "discarded" : "replayed")
    },
  )
})
