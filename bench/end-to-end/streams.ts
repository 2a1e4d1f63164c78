import { Effect } from "effect"
import type { Redis } from "iovalkey"
import type { Client } from "pg"
import type { PublicMessage } from "../../src/domain/Message.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as connections from "../support/connections.ts"
import * as GroupedAppend from "../support/GroupedAppend.ts"
import { payloadOf } from "../support/messages.ts"
import type { EndToEndContestant } from "./EndToEndContestant.ts"
import { publishAndStore } from "./publishAndStore.ts"
import { storeBatch } from "./storeBatch.ts"
import { name as baseline } from "./wholeList.ts"

const group = "storing"
const { flushBatchSize } = SettingsConfig.defaults

type Read = ReadonlyArray<
  readonly [stream: string, ReadonlyArray<readonly [id: string, fields: Array<string>]>]
>

/** Waits for what comes next, and acknowledges when it is committed. */
const workOff = async (
  client: Redis,
  postgres: Client,
  stream: string,
  hasEnded: () => boolean,
): Promise<number> => {
  let stored = 0
  while (true) {
    const wasEnded = hasEnded()
    const read = (await client.xreadgroup(
      "GROUP",
      group,
      "one",
      "COUNT",
      flushBatchSize,
      "BLOCK",
      10,
      "STREAMS",
      stream,
      ">",
    )) as Read | null
    const entries = read?.[0]?.[1] ?? []
    if (entries.length === 0) {
      if (wasEnded) return stored
      continue
    }
    const messages = entries.map(([, fields]) => JSON.parse(fields[1]!) as PublicMessage)
    await storeBatch(postgres, messages, stored + 1)
    const ids = entries.map(([id]) => id)
    await client
      .pipeline()
      .xack(stream, group, ...ids)
      .xdel(stream, ...ids)
      .exec()
    stored += entries.length
  }
}

/** A stream with a consumer group. What was read and not acknowledged before a crash would have to be claimed: left out. */
export const contestant: EndToEndContestant = {
  name: `Valkey Streams, consumer group, batches of ${flushBatchSize}`,
  baseline,
  comparison: "streams",
  open: (workload) =>
    Effect.gen(function* () {
      const { keyPrefix, drafts, callers } = workload
      const publishing = yield* connections.valkey
      const reading = yield* connections.valkey
      const postgres = yield* connections.postgres
      const stream = `${keyPrefix}stream`
      const append = GroupedAppend.make(publishing, stream)
      const clear = async () => {
        await publishing.del(stream)
        await publishing.xgroup("CREATE", stream, group, "0", "MKSTREAM")
      }
      return {
        clear,
        run: publishAndStore(workload, {
          items: drafts,
          callers,
          publish: (draft) => append(payloadOf(draft)),
          length: Effect.promise(() => publishing.xlen(stream)),
          store: (hasEnded) => Effect.promise(() => workOff(reading, postgres, stream, hasEnded)),
        }).pipe(Effect.map((amount) => ({ amount }))),
      }
    }),
}
