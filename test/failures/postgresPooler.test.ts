/**
 * Behind a pooler that gives a connection to somebody else after each transaction, as pgbouncer does: nothing that
 * outlives a transaction is ever asked for.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Client } from "pg"
import { vi } from "vitest"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { eventually } from "../support/eventually.ts"
import { freshDatabase, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

const servers = Layer.merge(valkeyShared, freshDatabase)

/** What is sent to PostgreSQL by this process, connection by connection. */
const observed = Effect.acquireRelease(
  Effect.sync(() => {
    const sent = new Map<Client, Array<string>>()
    const query = Client.prototype.query as (this: Client, ...args: ReadonlyArray<unknown>) => unknown
    const spy = vi.spyOn(Client.prototype, "query").mockImplementation(function (
      this: Client,
      ...args: Array<unknown>
    ) {
      const [statement] = args
      const text = typeof statement === "string" ? statement : JSON.stringify(statement, ["name", "text"])
      sent.set(this, [...(sent.get(this) ?? []), text.trim()])
      return query.apply(this, args)
    } as Client["query"])
    return { sent, spy }
  }),
  ({ spy }) => Effect.sync(() => spy.mockRestore()),
)

const begins = /^(BEGIN|START TRANSACTION)\b/
const ends = /^(COMMIT|ROLLBACK)\b(?! TO)/
const outlives =
  /pg_(try_)?advisory_lock|\bSET (?!LOCAL)(SESSION |search_path|statement_timeout|lock_timeout|\w+ *=)|\bLISTEN\b|\bPREPARE\b|CREATE TEMP|DECLARE .* WITH HOLD|"name":/i

/** Of those that are open. */
const nothingIsLeft = (connections: ReadonlyArray<Client>) =>
  Effect.promise(async () => {
    const left = await Promise.allSettled(
      connections.map((connection) =>
        connection.query(
          `SELECT name FROM pg_settings WHERE source = 'session'
           UNION ALL SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'`,
        ),
      ),
    )
    const open = left.filter((outcome) => outcome.status === "fulfilled")
    return open.length > 0 && open.every(({ value }) => value.rows.length === 0)
  })

it.live("every statement is part of a transaction, and nothing of one is left on its connection", () =>
  Effect.gen(function* () {
    const { sent, spy } = yield* observed
    yield* Effect.gen(function* () {
      const chat = yield* ChatCache
      yield* eventually(
        "all is well",
        Effect.map(chat.readiness, ({ status }) => status === "ok"),
      )
      yield* chat.publish({ owner_id: "1", username: "ada", channel: "general", message: "Hello" })
      yield* chat.updateRateLimitSettings(20, 60)
      yield* chat.flush
      yield* chat.quarantine.list({ limit: 10 })
      yield* chat.status
      spy.mockRestore()
      // While one is in use it has the settings of its transaction.
      yield* eventually("nothing is left on a connection", nothingIsLeft([...sent.keys()]))
    }).pipe(
      Effect.provide(
        ChatCacheLayer.layer.pipe(
          Layer.provide(
            Layer.unwrapEffect(
              Effect.map(uniqueKeyPrefix, (keyPrefix) => SettingsConfig.layer({ keyPrefix })),
            ),
          ),
        ),
      ),
    )
    const statements = [...sent.values()]
    assert.isTrue(statements.flat().some((text) => text.includes("COPY chat_messages")))
    assert.isTrue(statements.flat().some((text) => text.includes("CREATE TABLE chat_messages")))
    for (const texts of statements) {
      let isOpen = false
      for (const text of texts) {
        assert.notMatch(text, outlives)
        if (begins.test(text)) isOpen = true
        assert.isTrue(isOpen, `outside of a transaction: ${text}`)
        if (ends.test(text)) isOpen = false
      }
    }
  }).pipe(Effect.scoped, Effect.provide(servers)),
)
