import { Effect } from "effect"
import type { Redis } from "iovalkey"
import * as connections from "../support/connections.ts"
import * as GroupedAppend from "../support/GroupedAppend.ts"
import { inFlight } from "../support/inFlight.ts"
import { payloadOf } from "../support/messages.ts"
import { name as baseline } from "./evalshaPerMessage.ts"
import type { OtherPublishContestant } from "./PublishContestant.ts"

const textOf = (payload: string): string => (JSON.parse(payload) as { readonly message: string }).message

const readStream = async (client: Redis, stream: string): Promise<ReadonlyMap<string, string>> => {
  const texts = new Map<string, string>()
  let after = "-"
  while (true) {
    const page = await client.xrange(stream, after, "+", "COUNT", 10_000)
    for (const [id, fields] of page) texts.set(id, textOf(fields[1]!))
    if (page.length === 0) return texts
    after = `(${page.at(-1)![0]}`
  }
}

/** A stream of Valkey alone: no rate limit, no recent cache, no bound, no id that the application gave. */
export const contestant: OtherPublishContestant = {
  name: "Valkey Streams, XADD in groups",
  baseline,
  comparison: "streams",
  oneOf: 1,
  open: ({ keyPrefix, drafts, callers }) =>
    Effect.map(connections.valkey, (client) => {
      const stream = `${keyPrefix}stream`
      const append = GroupedAppend.make(client, stream)
      return {
        run: inFlight(callers, drafts, (draft) => append(payloadOf(draft))),
        clear: async () => void (await client.del(stream)),
        read: () => readStream(client, stream),
      }
    }),
}
