import { Array as Arrays, Effect } from "effect"
import { once } from "node:events"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import type { Client } from "pg"
import { from as copyFrom } from "pg-copy-streams"
import type { PublicMessage } from "../../src/domain/Message.ts"
import * as connections from "../support/connections.ts"
import type { FlushContestant } from "./FlushContestant.ts"
import { nameOf as baselineOf } from "./insertPerRow.ts"

const statement =
  "COPY chat_messages (message_id, cache_id, owner_id, username, channel, message, authored_at) FROM STDIN"

/** None of the texts of a benchmark holds a character that the format of COPY would have to escape. */
const lineOf = (message: PublicMessage, cacheId: number): string =>
  [
    message.message_id,
    cacheId,
    message.owner_id,
    message.username,
    message.channel,
    message.message,
    message.authored_at,
  ].join("\t")

const copy = async (client: Client, text: string): Promise<void> => {
  const stream = client.query(copyFrom(statement))
  await pipeline(Readable.from([Buffer.from(text)]), stream)
  if (!stream.closed) await once(stream, "close")
}

/** The ceiling: what PostgreSQL takes in when nobody has to read a queue, decode, look for duplicates or keep a journal. */
export const contestant = (batchSize: number, sockets: number): FlushContestant => ({
  name: `COPY alone, ${batchSize} rows each, ${sockets} connection${sockets === 1 ? "" : "s"}`,
  baseline: baselineOf(batchSize),
  batchSize,
  ignoresQueue: true,
  open: ({ messages }) =>
    Effect.map(Effect.replicateEffect(connections.postgres, sockets), (clients) => {
      const texts = Arrays.chunksOf(
        messages.map((message, index) => lineOf(message, index + 1)),
        batchSize,
      ).map((lines) => `${lines.join("\n")}\n`)
      return Effect.promise(async () => {
        let next = 0
        await Promise.all(
          clients.map(async (client) => {
            while (next < texts.length) await copy(client, texts[next++]!)
          }),
        )
      })
    }),
})
