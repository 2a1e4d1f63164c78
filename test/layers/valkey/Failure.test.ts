import { expect, it } from "@effect/vitest"
import { ReplyError } from "iovalkey"
import { describe as describeError, fromError } from "../../../src/layers/valkey/Failure.ts"

const reply = (message: string): Error =>
  Object.assign(new ReplyError(message) as Error, { command: { args: ["said"] } })

const named = (name: string, message: string): Error => Object.assign(new Error(message), { name })

it.each([
  [reply("OOM command not allowed when used memory > 'maxmemory'."), "refused"],
  [reply("READONLY You can't write against a read only replica."), "refused"],
  [reply("LOADING Valkey is loading the dataset in memory"), "refused"],
  [reply("NOAUTH Authentication required."), "refused"],
  [reply("COUNTER_MISSING cache_message_id does not exist"), "refused"],
  [reply("ERR unknown command 'evalsha', with args beginning with: 'said'"), "refused"],
  [new Error("Stream isn't writeable and enableOfflineQueue options is false"), "refused"],
  [reply("ERR value is not an integer or out of range"), "unknown"],
  [reply("READONLYISH is not a code that is known"), "unknown"],
  [named("MaxRetriesPerRequestError", "Reached the max retries per request limit (which is 0)."), "unknown"],
  [new Error("Connection is closed."), "unknown"],
  [new Error("Command timed out"), "unknown"],
  [named("AbortError", "Command aborted due to connection close"), "unknown"],
  ["not an error", "unknown"],
] as const)("%s: %s", (error, execution) => {
  expect(fromError("publish", error)).toMatchObject({
    _tag: "CacheUnavailable",
    operation: "publish",
    execution,
  })
})

it.each([
  [
    reply(
      "WRONGTYPE Operation against a key holding the wrong kind of value script: 0123456789012345678901234567890123456789, on @user_script:12.",
    ),
    "WRONGTYPE Operation against a key holding the wrong kind of value",
  ],
  [reply("ERR unknown command 'evalsha', with args beginning with: 'said'"), "ERR unknown command 'evalsha'"],
  [
    named("MaxRetriesPerRequestError", "Reached the max retries"),
    "the connection was lost before the reply came",
  ],
  [new Error("Command timed out"), "no reply came in time"],
  [new Error("connect ECONNREFUSED 127.0.0.1:1\n    at somewhere"), "connect ECONNREFUSED 127.0.0.1:1"],
  [Object.assign(new AggregateError([], ""), { code: "ECONNREFUSED" }), "ECONNREFUSED"],
] as const)("describes %s in a line of its own", (error, reason) => {
  expect(describeError(error)).toBe(reason)
})

it("carries nothing of the command", () => {
  expect(JSON.stringify(fromError("publish", reply("OOM command not allowed")))).not.toContain("said")
})
