import { assert, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Accounts from "./Accounts.ts"
import { freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "./Servers.ts"

/** Accounts on tables that are just good enough to be looked at. */
const opened = Effect.gen(function* () {
  const keyPrefix = yield* uniqueKeyPrefix
  const accounts = yield* Accounts.make(keyPrefix)
  const { url } = yield* PostgresServer
  yield* query(url, "CREATE TABLE chat_messages (message_id uuid)")
  yield* query(url, "CREATE TABLE private_messages (message_id uuid)")
  yield* query(url, "CREATE TABLE quarantined_messages (raw bytea)")
  const raw = yield* rawClient((yield* ValkeyServer).url)
  const entry = (messageId: string) => JSON.stringify({ cache_id: 1, data: { message_id: messageId } })
  const put = {
    stored: (messageId: string) => query(url, "INSERT INTO chat_messages VALUES ($1)", [messageId]),
    quarantined: (messageId: string) =>
      query(url, "INSERT INTO quarantined_messages VALUES ($1)", [Buffer.from(entry(messageId))]),
    queued: (messageId: string) =>
      Effect.promise(() => raw.rpush(`${keyPrefix}flush_messages`, entry(messageId))),
  }
  return { accounts, put }
})

const balances = <R>(check: Effect.Effect<void, never, R>) => Effect.map(Effect.exit(check), Exit.isSuccess)

const cases: ReadonlyArray<
  [Accounts.Outcome, ReadonlyArray<keyof Accounts.Places>, { now: boolean; allOver: boolean }]
> = [
  ["accepted", [], { now: false, allOver: false }],
  ["accepted", ["stored"], { now: true, allOver: true }],
  ["accepted", ["quarantined"], { now: true, allOver: true }],
  ["accepted", ["stored", "quarantined"], { now: true, allOver: false }],
  ["accepted", ["stored", "stored"], { now: false, allOver: false }],
  ["unknown", [], { now: true, allOver: true }],
  ["unknown", ["stored"], { now: true, allOver: true }],
  ["unknown", ["stored", "quarantined"], { now: true, allOver: false }],
  ["refused", [], { now: true, allOver: true }],
  ["refused", ["stored"], { now: false, allOver: false }],
  ["lost", [], { now: true, allOver: true }],
  ["lost", ["quarantined"], { now: false, allOver: false }],
]

it.scopedLive.each(cases)("%s and in %j: %j", ([outcome, places, { now, allOver }]) =>
  Effect.gen(function* () {
    const { accounts, put } = yield* opened
    const messageId = randomUUID()
    yield* accounts.enter(outcome, [messageId])
    for (const place of places) yield* put[place](messageId)
    assert.strictEqual(yield* balances(accounts.nothingIsLost), now)
    assert.strictEqual(yield* balances(accounts.settle()), allOver)
  }).pipe(Effect.provide(Layer.merge(valkeyShared, freshDatabase))),
)

it.scopedLive("what is still queued is not lost, and what nobody has said is found", () =>
  Effect.gen(function* () {
    const { accounts, put } = yield* opened
    const messageId = randomUUID()
    yield* accounts.enter("accepted", [messageId])
    yield* put.queued(messageId)
    assert.isTrue(yield* balances(accounts.nothingIsLost))
    yield* put.stored(randomUUID())
    assert.isFalse(yield* balances(accounts.nothingIsLost))
  }).pipe(Effect.provide(Layer.merge(valkeyShared, freshDatabase))),
)
