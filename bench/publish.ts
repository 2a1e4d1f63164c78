import { Effect } from "effect"
import type { Redis } from "iovalkey"
import * as SettingsConfig from "../src/layers/SettingsConfig.ts"
import * as Keys from "../src/layers/valkey/Keys.ts"
import * as evalshaPerMessage from "./publish/evalshaPerMessage.ts"
import { findProblem } from "./publish/findProblem.ts"
import * as publish from "./publish/publish.ts"
import * as publishAll from "./publish/publishAll.ts"
import type { PublishContestant } from "./publish/PublishContestant.ts"
import * as connections from "./support/connections.ts"
import { makeDrafts, payloadBytes } from "./support/messages.ts"
import { CheckFailed, type Contestant, type MakeQuestion } from "./support/Question.ts"

const contestants = [evalshaPerMessage.contestant, publish.contestant, publishAll.contestant]

const messagesByDefault = 200_000

const { maxCacheSize } = SettingsConfig.defaults

/** In pieces, so that no reply is larger than the server likes to give. */
const readList = async (client: Redis, key: string): Promise<ReadonlyArray<string>> => {
  const pieceLength = 10_000
  const entries: Array<string> = []
  while (true) {
    const piece = await client.lrange(key, entries.length, entries.length + pieceLength - 1)
    entries.push(...piece)
    if (piece.length < pieceLength) return entries
  }
}

/** How many messages per second a process can hand over, until each caller knows the id of its own. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const client = yield* connections.valkey
    const drafts = makeDrafts(options.messages ?? messagesByDefault, options.users)

    const enter = Effect.fnUntraced(function* ({ name, baseline, open }: PublishContestant, index: number) {
      const keyPrefix = `bench:publish:${index}:`
      const keys = Keys.make(keyPrefix)
      const everything = yield* open({ keyPrefix, drafts, callers: options.callers, maxCacheSize })
      let cacheIds: ReadonlyArray<number> = []
      return {
        name,
        baseline,
        prepare: Effect.promise(async () => {
          await client.del(keys.flushQueue.public, keys.recent)
          await client.set(keys.counter.public, 0)
        }).pipe(Effect.zipRight(connections.rewriteAppendOnlyFile(client))),
        run: Effect.map(everything, (ids) => {
          cacheIds = ids
        }),
        check: Effect.promise(async () =>
          findProblem({
            drafts,
            cacheIds,
            queue: await readList(client, keys.flushQueue.public),
            recent: await readList(client, keys.recent),
            maxCacheSize,
          }),
        ).pipe(
          Effect.flatMap((message) =>
            message === undefined ? Effect.void : Effect.fail(new CheckFailed({ message })),
          ),
          // Nobody else is to work beside a list of this length.
          Effect.zipLeft(Effect.promise(() => client.del(keys.flushQueue.public, keys.recent))),
        ),
      } satisfies Contestant
    })

    return {
      name: "publish",
      asks: "how many messages per second does one process hand to Valkey?",
      unit: "messages",
      amount: drafts.length,
      conditions: [
        `${drafts.length} messages of ${payloadBytes(drafts[0]!)} bytes in each run`,
        `${options.callers} callers`,
        `${options.users} users`,
      ],
      contestants: yield* Effect.forEach(contestants, enter),
    }
  })
