/** Rows by many callers at once, gathered into one statement each. */
import { Array as Arrays, Effect } from "effect"
import type { ClientBase } from "pg"
import type { PublicMessage } from "../../src/domain/Message.ts"
import { GroupCommit, type GroupCommitItem } from "../../src/layers/GroupCommit.ts"
import * as connections from "../support/connections.ts"
import { storeBatch } from "./storeBatch.ts"

interface Item extends GroupCommitItem {
  readonly message: PublicMessage
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Returns what stores one message, and ends when its row is committed. */
export const make = (batchItems: number, sockets: number) =>
  Effect.gen(function* () {
    const idle: Array<ClientBase> = yield* Effect.replicateEffect(connections.postgres, sockets)
    let lastId = 0
    const store = async (client: ClientBase, batch: ReadonlyArray<Item>): Promise<void> => {
      const firstId = lastId + 1
      lastId += batch.length
      try {
        const messages = Arrays.map(batch, ({ message }) => message)
        await storeBatch(client, messages, firstId)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    const send = async (batch: ReadonlyArray<Item>, done: () => void): Promise<void> => {
      const client = idle.pop()!
      await store(client, batch)
      idle.push(client)
      done()
    }
    const groupCommit = new GroupCommit<Item>((batch, done) => void send(batch, done), {
      batchesUnderWay: sockets,
      batchItems,
      batchSize: 8 * 1024 * 1024,
      waitingItems: 20_000,
      waitingSize: 32 * 1024 * 1024,
    })
    return (message: PublicMessage): Promise<void> =>
      new Promise((resolve, reject) => {
        const taken = groupCommit.add({ message, size: message.message.length, resolve, reject })
        if (!taken) reject(new Error("more callers than may wait"))
      })
  })
