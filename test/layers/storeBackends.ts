/** The implementations that the contract suites of the store and the journal run on. */
import { Effect, Layer, Struct } from "effect"
import type { CachedMessage } from "../../src/domain/Message.ts"
import * as EventJournalPostgres from "../../src/layers/EventJournalPostgres.ts"
import * as MessageStoreMemory from "../../src/layers/MessageStoreMemory.ts"
import * as MessageStorePostgres from "../../src/layers/MessageStorePostgres.ts"
import * as StoreSnapshotPostgres from "../../src/layers/StoreSnapshotPostgres.ts"
import * as PostgresLayer from "../../src/layers/postgres/Postgres.ts"
import { Postgres } from "../../src/services/Postgres.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { asStored, type StoreBackend, StoredMessages, type StoredMessage } from "../contracts/StoreBackend.ts"
import { freshDatabase, query } from "../support/Servers.ts"

const tables = { public: "chat_messages", private: "private_messages" } as const

export const storedMessagesPostgres: Layer.Layer<StoredMessages, never, PostgresServer> = Layer.effect(
  StoredMessages,
  Effect.map(PostgresServer, ({ url }) => ({
    read: (queue) =>
      Effect.map(query(url, `SELECT * FROM ${tables[queue]} ORDER BY id`), (rows) =>
        rows.map((row) => ({
          ...(Struct.omit(row, "id", "persisted_at", "authored_at") as unknown as CachedMessage),
          cache_id: Number(row["cache_id"]),
          authoredAtMillis: (row["authored_at"] as Date).getTime(),
        })),
      ),
  })),
)

/** Superusers may switch the triggers off that protect the journal. */
const empty = Effect.gen(function* () {
  const { url } = yield* PostgresServer
  yield* Effect.orDie((yield* Postgres).probe)
  yield* query(
    url,
    `SET session_replication_role = replica;
     TRUNCATE chat_messages, private_messages, quarantined_messages, deleted_messages, events RESTART IDENTITY`,
  )
})

export const postgres: StoreBackend<Postgres | PostgresServer> = {
  name: "PostgreSQL",
  environment: PostgresLayer.layerWith({ lockTimeout: "300 millis" }).pipe(Layer.provideMerge(freshDatabase)),
  ports: Layer.unwrapEffect(
    Effect.as(
      empty,
      Layer.mergeAll(
        MessageStorePostgres.layer,
        EventJournalPostgres.layer,
        StoreSnapshotPostgres.layer,
        storedMessagesPostgres,
      ),
    ),
  ),
}

const storedMessagesMemory: Layer.Layer<StoredMessages, never, MessageStoreMemory.MemoryTables> =
  Layer.effect(
    StoredMessages,
    Effect.map(MessageStoreMemory.MemoryTables, ({ messages }) => ({
      read: (queue) =>
        Effect.map(messages(queue), (rows): ReadonlyArray<StoredMessage> => rows.map(asStored)),
    })),
  )

export const memory: StoreBackend<never> = {
  name: "memory",
  environment: Layer.empty,
  ports: storedMessagesMemory.pipe(Layer.provideMerge(MessageStoreMemory.layer)),
}
