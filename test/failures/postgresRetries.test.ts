/** PostgreSQL ends a transaction for reasons of its own: the batch is tried again, whole or in smaller pieces. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { vi } from "vitest"
import * as PostgresFailure from "../support/postgresFailure.ts"

// Servers and daemons start and recover, on a machine that may be busy, and some failures last for a deadline.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const { control, flush, isDegraded, Scene, scene, session, settles, survives, stall, terminateConnections } =
  PostgresFailure

/** How many rows each batch has stored since then, in order. */
const batchesAfter = (position: unknown) =>
  Effect.map(
    control(
      "SELECT (data->>'persisted')::int AS persisted FROM events WHERE type = 'BatchPersisted' AND data->>'queue' = 'public' AND position > $1 ORDER BY position",
      [position],
    ),
    (rows) => rows.map(({ persisted }) => persisted),
  )

const lastPosition = Effect.map(control("SELECT max(position) AS last FROM events"), ([row]) => row!["last"])

layer(scene({ CHAT_CACHE_FLUSH_BATCH_SIZE: "40" }), { excludeTestServices: true })(
  "A transaction that PostgreSQL ends",
  (it) => {
    it.effect("by a deadlock: it is tried again", () =>
      Effect.gen(function* () {
        const { accounts, daemon } = yield* Scene
        const { holder, waiting, release } = yield* stall("insert", "PERFORM pg_advisory_xact_lock(1);")
        // Of the two that wait for each other, this one does not look whether they do.
        yield* Effect.promise(() => holder.query("SET deadlock_timeout = '1min'"))
        yield* control("ALTER DATABASE chat_cache SET deadlock_timeout = '5s'")
        yield* terminateConnections
        yield* accounts.publishAll(daemon.url, 10)
        const flushed = yield* Effect.fork(flush(daemon))
        yield* waiting
        const both = yield* Effect.fork(Effect.promise(() => holder.query("SELECT pg_advisory_lock(1)")))
        const { status, body } = yield* Fiber.join(flushed)
        assert.strictEqual(status, 503)
        assert.deepInclude(body, { _tag: "StoreUnavailable", sqlstate: "40P01" })
        yield* isDegraded(daemon, /deadlock detected/)
        yield* Fiber.join(both)
        yield* release
        yield* settles
      }).pipe(Effect.scoped),
    )

    it.effect("by a serialization failure, as an extension may raise it: it is tried again", () =>
      survives({
        ...PostgresFailure.raise("40001"),
        says: /queue cannot be flushed since/,
        answer: { _tag: "StoreUnavailable", sqlstate: "40001" },
      }),
    )

    it.effect("by an administrator who cancels its statement: it is tried again with half the batch", () =>
      Effect.gen(function* () {
        const { accounts, daemon } = yield* Scene
        const before = yield* lastPosition
        const { waiting, release } = yield* stall("insert")
        yield* accounts.publishAll(daemon.url, 40)
        const flushed = yield* Effect.fork(flush(daemon))
        const [pid] = yield* waiting
        yield* control("SELECT pg_cancel_backend($1)", [pid])
        const { status, body } = yield* Fiber.join(flushed)
        assert.strictEqual(status, 503)
        assert.deepInclude(body, { _tag: "StoreUnavailable", sqlstate: "57014" })
        yield* release
        yield* settles
        assert.deepStrictEqual(yield* batchesAfter(before), [20, 20])
      }).pipe(Effect.scoped),
    )

    it.effect("because a statement takes longer than 10 seconds: it is tried again with half the batch", () =>
      Effect.gen(function* () {
        const { accounts, daemon } = yield* Scene
        const before = yield* lastPosition
        const { release } = yield* stall("insert")
        yield* accounts.publishAll(daemon.url, 40)
        const { status, body } = yield* flush(daemon)
        assert.strictEqual(status, 503)
        assert.deepInclude(body, { _tag: "StoreUnavailable", sqlstate: "57014" })
        yield* isDegraded(daemon, /statement timeout/)
        yield* release
        yield* settles
        const [first] = yield* batchesAfter(before)
        assert.isAtMost(first as number, 20)
      }).pipe(Effect.scoped),
    )

    it.effect("because another process holds the lock of the queue: the next round comes", () =>
      Effect.gen(function* () {
        const other = yield* session
        yield* survives({
          begin: Effect.promise(() =>
            other.query("SELECT pg_advisory_lock(1667785076, 'chat_messages'::regclass::oid::int)"),
          ),
          end: Effect.promise(() => other.query("SELECT pg_advisory_unlock_all()")),
          says: /public queue cannot be flushed since .*lock timeout/,
          answer: { _tag: "StoreUnavailable", sqlstate: "55P03" },
        })
      }).pipe(Effect.scoped),
    )

    it.effect("because its memory for locks is used up: it is tried again with smaller batches", () =>
      Effect.gen(function* () {
        const hoarder = yield* session
        yield* survives({
          // The statement fails, and what it has locked stays locked.
          begin: Effect.promise(() =>
            hoarder.query("SELECT pg_advisory_lock(number) FROM generate_series(1, 1000000) AS number").then(
              () => assert.fail("there is memory left"),
              () => {},
            ),
          ),
          end: Effect.promise(() => hoarder.end()),
          says: /out of shared memory/,
          answer: { _tag: "StoreUnavailable", sqlstate: "53200" },
        })
      }).pipe(Effect.scoped),
    )
  },
)
