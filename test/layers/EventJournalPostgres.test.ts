import { expect, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { DaemonStarted, FlushRecovered } from "../../src/domain/Event.ts"
import * as EventJournalPostgres from "../../src/layers/EventJournalPostgres.ts"
import * as MessageStorePostgres from "../../src/layers/MessageStorePostgres.ts"
import * as PostgresLayer from "../../src/layers/postgres/Postgres.ts"
import { EventJournal } from "../../src/services/EventJournal.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { eventually } from "../support/eventually.ts"
import { freshDatabase, query } from "../support/Servers.ts"

const environment = Layer.mergeAll(MessageStorePostgres.layer, EventJournalPostgres.layer).pipe(
  Layer.provide(PostgresLayer.layerWith({ lockTimeout: "10 seconds" })),
  Layer.provideMerge(freshDatabase),
)

const control = (statement: string) => Effect.flatMap(PostgresServer, ({ url }) => query(url, statement))

const started = (version: string) => new DaemonStarted({ instance_id: "instance", version })

const append = (version: string) =>
  Effect.flatMap(MessageStore, (store) =>
    store.transaction((transaction) => transaction.journal([started(version)])),
  )

const read = (after: number, limit = 100) =>
  Effect.flatMap(EventJournal, (journal) => journal.read(after, limit))

layer(environment, { excludeTestServices: true })("The journal in PostgreSQL", (it) => {
  it.effect(
    "gives a position only to the one who holds its lock, so that none appears below a visible one",
    () =>
      Effect.gen(function* () {
        const store = yield* MessageStore
        const written = yield* Deferred.make<void>()
        const mayGoOn = yield* Deferred.make<void>()
        const first = yield* Effect.fork(
          store.transaction(
            Effect.fnUntraced(function* (transaction) {
              yield* transaction.journal([started("first")])
              yield* Deferred.succeed(written, undefined)
              yield* Deferred.await(mayGoOn)
              yield* transaction.journal([started("first again")])
            }),
          ),
        )
        yield* Deferred.await(written)
        const second = yield* Effect.fork(append("second"))
        yield* eventually(
          "the second one waits for the lock of the journal",
          Effect.map(
            control(
              `SELECT 1 FROM pg_locks
             WHERE locktype = 'advisory' AND NOT granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
            ),
            (rows) => rows.length === 1,
          ),
        )
        yield* Deferred.succeed(mayGoOn, undefined)
        yield* Fiber.join(first)
        yield* Fiber.join(second)
        const recorded = yield* read(0)
        const from = recorded[0]!.position
        // Had the second one taken its position before it waited, it would stand between the two of the first one.
        expect(
          recorded.map(({ position, event }) => [position - from, (event as DaemonStarted).version]),
        ).toEqual([
          [0, "first"],
          [1, "first again"],
          [2, "second"],
        ])
      }),
  )

  it.effect.each([
    "UPDATE events SET type = 'Other'",
    "UPDATE events SET type = 'Other' WHERE false",
    "DELETE FROM events",
    "TRUNCATE events",
  ])("refuses: %s", (statement) =>
    Effect.gen(function* () {
      const before = yield* read(0)
      const error = yield* Effect.flip(
        Effect.flatMap(PostgresServer, ({ url }) => Effect.sandbox(query(url, statement))),
      )
      expect(String(error)).toContain("the journal is append-only")
      expect(yield* read(0)).toEqual(before)
    }),
  )

  it.effect("passes over what a newer version has recorded, however much it is", () =>
    Effect.gen(function* () {
      const last = (yield* read(0)).at(-1)?.position ?? 0
      yield* control(`INSERT INTO events (type, data) SELECT 'MoonLanded', '{}' FROM generate_series(1, 20)`)
      yield* append("after")
      expect((yield* read(last, 1)).map(({ event }) => event)).toEqual([started("after")])
    }),
  )

  it.effect("passes over fields that a newer version has added", () =>
    Effect.gen(function* () {
      const last = (yield* read(0)).at(-1)?.position ?? 0
      yield* control(
        `INSERT INTO events (type, data) VALUES ('FlushRecovered', '{"queue": "public", "weather": "fine"}')`,
      )
      expect((yield* read(last)).map(({ event }) => event)).toEqual([new FlushRecovered({ queue: "public" })])
    }),
  )

  it.effect("says where an event cannot be read, instead of leaving it out", () =>
    Effect.gen(function* () {
      const last = (yield* read(0)).at(-1)?.position ?? 0
      yield* control(`INSERT INTO events (type, data) VALUES ('FlushRecovered', '{"queue": "secret"}')`)
      expect(yield* Effect.flip(read(last))).toMatchObject({
        _tag: "StoreMisconfigured",
        reason: expect.stringMatching(
          /^the event at position \d+ does not have the shape of a FlushRecovered$/,
        ),
      })
    }),
  )
})
