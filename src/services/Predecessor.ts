import { Context, type Effect, type Scope, type Stream } from "effect"
import type { CacheUnavailable, StoreError } from "../domain/Errors.ts"
import type { Entry } from "../domain/Entry.ts"
import type { ImportImpossible } from "../domain/Import.ts"
import type { QueueName } from "../domain/Message.ts"

/** A row as it was read: texts, and `null` where the column had none. */
export interface PredecessorRow {
  /** What tells the row from all others of its table, the same at each reading. */
  readonly key: string
  readonly cacheId: string | null
  /** Where the predecessor had ids of its own that are UUIDs. */
  readonly messageId: string | null
  readonly fields: Readonly<Record<string, string | null>>
}

export interface PredecessorTable {
  readonly queue: QueueName
  /** With its schema, such as `chatserver.chat_messages`. */
  readonly name: string
  readonly rowCount: number
  /** False when its positions are not those of the queue's counter. */
  readonly hasCacheIds: boolean
  /** In pages, by primary key where there is one. */
  readonly pages: Stream.Stream<ReadonlyArray<PredecessorRow>, StoreError>
}

export interface PredecessorSnapshot {
  /** Those that exist, as of one instant. */
  readonly tables: ReadonlyArray<PredecessorTable>
  /** Names of tables that do not exist. */
  readonly absent: ReadonlyArray<string>
  /** What the queue holds now, which is after that instant. Nothing is removed. */
  readonly queued: (queue: QueueName) => Stream.Stream<Entry, CacheUnavailable>
}

export interface PredecessorOptions {
  readonly schema: string
  /** The zone of times without one, such as `Europe/Berlin`. */
  readonly timeZone: string
  /** Ours to theirs, where the names of columns tell nothing. */
  readonly columns: Readonly<Record<string, string>>
}

/**
 * The program that had the same keys in Valkey, and tables of its own. Nothing of it is changed. Opening it fails within
 * 10 seconds when PostgreSQL does not answer at all. Counting or sorting a large table takes its time: a server that
 * falls silent with that is given up 600 seconds after the question, and the same holds for each page.
 */
export class Predecessor extends Context.Tag("chat-cache/Predecessor")<
  Predecessor,
  {
    readonly open: (
      options: PredecessorOptions,
    ) => Effect.Effect<PredecessorSnapshot, ImportImpossible | StoreError, Scope.Scope>
  }
>() {}
