/** Faults that others had in the field, where moving messages into a database lost them or came to a halt. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { stat } from "node:fs/promises"
import { vi } from "vitest"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import * as PostgresFailure from "../support/postgresFailure.ts"
import * as SmallDisk from "../support/smallDisk.ts"

// Servers and daemons start and recover, on a machine that may be busy, and some failures last for a deadline.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const { control, flush, isDegraded, isWell, nothingIsQuarantined, Scene, scene, stored, survives } =
  PostgresFailure

/** Puts the table on a disk of 8 MB. */
const moveToSmallDisk = Effect.gen(function* () {
  const [row] = yield* control("SHOW data_directory")
  const { uid, gid } = yield* Effect.promise(() => stat(row!["data_directory"] as string))
  const directory = yield* SmallDisk.mount("8m", { uid, gid })
  yield* control(`CREATE TABLESPACE small LOCATION '${directory}'`)
  yield* Effect.addFinalizer(() =>
    control("ALTER TABLE chat_messages SET TABLESPACE pg_default").pipe(
      Effect.zipRight(control("DROP TABLESPACE small")),
    ),
  )
  yield* control("ALTER TABLE chat_messages SET TABLESPACE small")
})

/** Takes all the room that is left on it, to the last page. */
const fill = control(
  `CREATE TABLE filler (page text) TABLESPACE small;
   ALTER TABLE filler ALTER COLUMN page SET STORAGE PLAIN`,
).pipe(
  Effect.zipRight(
    control(
      `DO $$ BEGIN
         LOOP
           BEGIN
             INSERT INTO filler VALUES (repeat('x', 7000));
           EXCEPTION WHEN disk_full THEN
             RETURN;
           END;
         END LOOP;
       END $$`,
    ),
  ),
)

const large = { message: randomBytes(3000).toString("base64") }

layer(scene(), { excludeTestServices: true })("What went wrong elsewhere", (it) => {
  it.effect.skipIf(!SmallDisk.canMount)(
    `a full disk sends nothing to the dead letters, as it did in Kafka's JDBC sink (issue 1312) and Vector (issue 10870)${
      SmallDisk.canMount ? "" : " (skipped: only root can mount the small disk that it needs)"
    }`,
    () =>
      Effect.gen(function* () {
        const { accounts, daemon } = yield* Scene
        yield* moveToSmallDisk
        yield* survives({
          begin: Effect.zipRight(
            fill,
            Effect.forEach(
              Array.from({ length: 20 }),
              () => accounts.publish(daemon.url, { fields: large }),
              {
                concurrency: 4,
              },
            ),
          ),
          end: control("DROP TABLE filler"),
          says: /could not extend file .*No space left on device/,
          answer: { _tag: "StoreUnavailable", sqlstate: "53100" },
        })
      }).pipe(Effect.scoped),
  )

  it.effect(
    "a dead letter that cannot be written stops its batch, and is not only logged, as in Kafka Connect",
    () =>
      Effect.gen(function* () {
        const { accounts, daemon, keyPrefix } = yield* Scene
        const raw = yield* rawClient((yield* ValkeyServer).url)
        yield* control("REVOKE INSERT ON quarantined_messages FROM app")
        const before = yield* stored
        yield* accounts.publishAll(daemon.url, 20)
        yield* Effect.promise(() => raw.rpush(`${keyPrefix}flush_messages`, "not a message"))
        yield* accounts.publishAll(daemon.url, 5)
        const { status, body } = yield* flush(daemon)
        assert.strictEqual(status, 503)
        assert.deepInclude(body, { _tag: "StoreMisconfigured", sqlstate: "42501" })
        yield* isDegraded(daemon, /permission denied for table quarantined_messages/)
        assert.strictEqual(yield* stored, before)
        yield* nothingIsQuarantined(daemon)
        yield* control("GRANT INSERT ON quarantined_messages TO app")
        yield* isWell(daemon)
        yield* accounts.settle(daemon)
        assert.strictEqual(yield* stored, before + 25)
        const [row] = yield* control(
          "SELECT convert_from(raw, 'UTF8') AS raw FROM quarantined_messages WHERE status = 'open'",
        )
        assert.deepStrictEqual(row, { raw: "not a message" })
      }).pipe(Effect.scoped),
  )

  it.effect(
    "one bad row does not block the queue, as it did in Hazelcast (issue 7762) and Kafka's JDBC sink (issue 721)",
    () =>
      Effect.gen(function* () {
        const { accounts, daemon } = yield* Scene
        yield* control("ALTER TABLE chat_messages ADD CONSTRAINT polite CHECK (message <> 'rude')")
        const before = yield* stored
        yield* accounts.publishAll(daemon.url, 20)
        const { messageId } = yield* accounts.publish(daemon.url, { fields: { message: "rude" } })
        yield* accounts.publishAll(daemon.url, 20)
        const { body } = yield* flush(daemon)
        assert.deepInclude(body.public, { persisted: 40, quarantined: 1, remaining: 0 })
        assert.strictEqual(yield* stored, before + 40)
        yield* accounts.settle()
        const listed = yield* Daemon.request("GET", `${daemon.url}/quarantine`)
        assert.deepInclude(listed.body.entries.at(-1), { reason: "refused_by_postgres", sqlstate: "23514" })
        assert.strictEqual((yield* accounts.places).get(messageId)?.quarantined, 1)
      }),
  )
})
