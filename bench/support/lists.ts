/** Long lists of Valkey, read and filled in pieces: no command is larger than the server likes it. */
import { Array as Arrays } from "effect"
import type { Redis } from "iovalkey"
import { entryAt, type MessageSize } from "./messages.ts"

const pieceLength = 5000

export const readList = async (client: Redis, key: string): Promise<ReadonlyArray<string>> => {
  const entries: Array<string> = []
  while (true) {
    const piece = await client.lrange(key, entries.length, entries.length + pieceLength - 1)
    entries.push(...piece)
    if (piece.length < pieceLength) return entries
  }
}

export const fillList = async (client: Redis, key: string, entries: ReadonlyArray<string>): Promise<void> => {
  for (const piece of Arrays.chunksOf(entries, pieceLength)) await client.rpush(key, ...piece)
}

/** Makes the queue hold the messages with the ids from 1 to `length`, which need not fit into memory here. */
export const fillQueue = async (
  client: Redis,
  key: string,
  length: number,
  size: MessageSize,
): Promise<void> => {
  await client.del(key)
  for (let next = 0; next < length; next += pieceLength) {
    const count = Math.min(pieceLength, length - next)
    await client.rpush(key, ...Array.from({ length: count }, (_, index) => entryAt(next + index, size)))
  }
}
