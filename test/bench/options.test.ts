import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { parse } from "../../bench/support/Options.ts"

const parsed = (line: string) => parse(line.split(" ").filter(Boolean), ["publish", "flush"])

const refusals = [
  ["publsh", 'there is no question "publsh"; there is publish, flush'],
  ["--repetitions 0", "--repetitions must be an integer from 1 to 1000"],
  ["--messages 1e3", "--messages must be an integer from 1 to 1000000"],
  ["--compare kafka", '--compare knows streams and bullmq, or none; not "kafka"'],
  ["--url http://127.0.0.1:1 --rate 5", "--url needs --seconds: load never goes on without a limit"],
  ["--url http://127.0.0.1:1 --seconds 5", "--url needs --rate: load never goes on without a limit"],
  ["--url ftp://127.0.0.1 --rate 5 --seconds 1", "--url must be a URL that begins with http:// or https://"],
  [
    "--url http://192.0.2.1 --rate 5 --seconds 1",
    "--url names another machine, 192.0.2.1: that needs --allow-remote",
  ],
] as const

it.effect.each(refusals)("%s is refused: %s", ([line, message]) =>
  Effect.gen(function* () {
    assert.strictEqual((yield* Effect.flip(parsed(line))).message, message)
  }),
)

it.effect("all questions and all programs are measured unless some are named", () =>
  Effect.gen(function* () {
    const chosen = (line: string) =>
      Effect.map(parsed(line), (command) =>
        command._tag === "Measure" ? [command.options.questions, command.options.compare] : [],
      )
    assert.deepStrictEqual(yield* chosen(""), [
      ["publish", "flush"],
      ["streams", "bullmq"],
    ])
    assert.deepStrictEqual(yield* chosen("flush --compare bullmq"), [["flush"], ["bullmq"]])
    assert.deepStrictEqual(yield* chosen("flush --compare none"), [["flush"], []])
  }),
)

it.effect("load goes to this machine, or to another one where that is allowed", () =>
  Effect.gen(function* () {
    for (const url of ["http://localhost:8080", "http://127.0.0.2", "http://[::1]:80"]) {
      const command = yield* parsed(`--url ${url} --rate 5 --seconds 1`)
      assert.strictEqual(command._tag, "Load")
    }
    const command = yield* parsed("--url https://192.0.2.1 --rate 5 --seconds 1 --batch 100 --allow-remote")
    assert.deepStrictEqual(command._tag === "Load" && [command.options.url.host, command.options.batch], [
      "192.0.2.1",
      100,
    ])
  }),
)
