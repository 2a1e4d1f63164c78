import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { parse } from "./Options.ts"
import { commandOf } from "./report.ts"

const known = ["kill-daemon", "kill-valkey"]

it.effect("what is not asked for has its default, and every run a seed", () =>
  Effect.gen(function* () {
    const options = yield* parse([], known)
    assert.deepInclude(options, { minutes: 5, clients: 24, lossy: false, faults: [], model: false })
    assert.isTrue(Number.isInteger(options?.seed))
    assert.isUndefined(yield* parse(["--help"], known))
  }),
)

it.effect("the command that a report prints repeats the run", () =>
  Effect.gen(function* () {
    const given = ["--minutes", "0.5", "--clients", "7", "--seed", "42", "--lossy", "--faults", "kill-valkey"]
    const options = (yield* parse(given, known))!
    const [, args] = commandOf(options).split(" -- ")
    assert.deepStrictEqual(yield* parse(args!.split(" "), known), options)
  }),
)

it.effect("what makes no sense is refused with what would", () =>
  Effect.gen(function* () {
    const messageOf = (...args: ReadonlyArray<string>) =>
      Effect.map(Effect.flip(parse(args, known)), ({ message }) => message)
    assert.include(yield* messageOf("--minutes", "soon"), "--minutes must be a number from 0.05 to")
    assert.include(yield* messageOf("--clients", "0"), "--clients must be a number from 1 to 1000")
    assert.include(yield* messageOf("--seed", "-1"), "seed")
    assert.include(yield* messageOf("--faults", "kill-everybody"), "there is kill-daemon, kill-valkey")
    assert.include(yield* messageOf("--fault"), "--fault")
  }),
)
