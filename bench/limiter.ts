import { Array as Arrays, Effect } from "effect"
import type { Redis } from "iovalkey"
import type { LimiterContestant } from "./limiter/LimiterContestant.ts"
import * as publish from "./limiter/publish.ts"
import * as rateLimiterFlexible from "./limiter/rateLimiterFlexible.ts"
import { check } from "./support/check.ts"
import * as connections from "./support/connections.ts"
import { makeDrafts } from "./support/messages.ts"
import type { Contestant, MakeQuestion } from "./support/Question.ts"

const contestants = [rateLimiterFlexible.contestant, publish.contestant]

const messagesByDefault = 100_000
const callersByDefault = 1024

/** Every user has used up the limit, so that each message is counted and refused and leaves nothing else. */
const useUp = async (client: Redis, keys: ReadonlyArray<string>): Promise<void> => {
  for (const some of Arrays.chunksOf(keys, 1000)) {
    const pipeline = client.pipeline()
    for (const key of some) pipeline.set(key, 1, "EX", 86_400)
    await pipeline.exec()
  }
}

const sumOf = async (client: Redis, keys: ReadonlyArray<string>): Promise<number> => {
  let sum = 0
  for (const some of Arrays.chunksOf(keys, 1000)) {
    for (const count of await client.mget(...some)) sum += Number(count)
  }
  return sum
}

/** What counting costs alone. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const client = yield* connections.valkey
    const drafts = makeDrafts(options.messages ?? messagesByDefault, options)
    const callers = options.callers ?? callersByDefault
    const users = [...new Set(drafts.map(({ owner_id }) => owner_id))]

    const enter = Effect.fnUntraced(function* ({ name, baseline, open }: LimiterContestant, index: number) {
      const { keyOf, run } = yield* open({ keyPrefix: `bench:limiter:${index}:`, drafts, callers })
      const keys = users.map(keyOf)
      let refused = 0
      return {
        name,
        baseline,
        prepare: Effect.zipRight(
          Effect.promise(() => useUp(client, keys)),
          connections.rewriteAppendOnlyFile(client),
        ),
        run: Effect.map(run, (count) => {
          refused = count
        }),
        check: check(async () => {
          const counted = (await sumOf(client, keys)) - keys.length
          if (counted !== drafts.length) return `${drafts.length} messages were sent, ${counted} are counted`
          return refused === drafts.length
            ? undefined
            : `${drafts.length - refused} messages were let through`
        }),
      } satisfies Contestant
    })

    return {
      name: "limiter",
      asks: "how many messages per second are counted against the limits of their users?",
      unit: "messages/s",
      better: "higher",
      amount: drafts.length,
      conditions: [
        `${drafts.length} messages over the limit in each run`,
        `${callers} callers`,
        `${users.length} users`,
      ],
      doesNotShow:
        "Messages under their limit, whose cost is in the question publish. chat-cache has no limiter apart from publishing, so that its figure includes validating the message and sending its text; the library knows other kinds of limits and other stores.",
      contestants: yield* Effect.forEach(contestants, enter),
    }
  })
