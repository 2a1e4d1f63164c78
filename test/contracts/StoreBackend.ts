import { Context, Effect, type Layer } from "effect"
import type { CachedMessage, QueueName } from "../../src/domain/Message.ts"
import type { EventJournal } from "../../src/services/EventJournal.ts"
import type { MessageStore } from "../../src/services/MessageStore.ts"
import type { StoreSnapshot } from "../../src/services/StoreSnapshot.ts"

/** A row of a message table, with its time as an instant: how that was written is not kept. */
export type StoredMessage = Omit<CachedMessage, "authored_at"> & { readonly authoredAtMillis: number }

/** What a contract suite sees of the store besides its ports. */
export class StoredMessages extends Context.Tag("chat-cache/test/StoredMessages")<
  StoredMessages,
  {
    /** In the order in which they were inserted. */
    readonly read: (queue: QueueName) => Effect.Effect<ReadonlyArray<StoredMessage>>
  }
>() {}

export type StorePorts = MessageStore | EventJournal | StoreSnapshot | StoredMessages

/** An implementation of the store and the journal, which share their state. */
export interface StoreBackend<Environment> {
  readonly name: string
  /** What is made once for a whole suite. */
  readonly environment: Layer.Layer<Environment>
  /** New ports over an empty state. */
  readonly ports: Layer.Layer<StorePorts, never, Environment>
}

/** The row that a message becomes. */
export const asStored = ({ authored_at, ...rest }: CachedMessage): StoredMessage => ({
  ...rest,
  authoredAtMillis: Date.parse(authored_at.toUpperCase()),
})

/** The rows of a queue's table. */
export const stored = (
  queue: QueueName,
): Effect.Effect<ReadonlyArray<StoredMessage>, never, StoredMessages> =>
  Effect.flatMap(StoredMessages, ({ read }) => read(queue))

/** A message that is told from all others by its number. */
export const publicMessage = (number: number, changes: Partial<CachedMessage> = {}): CachedMessage =>
  ({
    cache_id: number,
    message_id: `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`,
    owner_id: "ann",
    username: "Ann",
    channel: "general",
    message: `number ${number}`,
    authored_at: "2026-03-01T12:00:00.000Z",
    ...changes,
  }) as CachedMessage

export const publicMessages = (from: number, to: number): ReadonlyArray<CachedMessage> =>
  Array.from({ length: to - from + 1 }, (_, index) => publicMessage(from + index))
