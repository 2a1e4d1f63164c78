/** Every poison by every door, on real servers, each among good neighbours that must not be lost. */
import { assert, layer } from "@effect/vitest"
import { Effect, Either, Layer, Logger, LogLevel } from "effect"
import { randomUUID } from "node:crypto"
import { vi } from "vitest"
import type { PublishError } from "../../src/services/Publisher.ts"
import * as Server from "../../src/http/Server.ts"
import * as ChatCacheLayer from "../../src/layers/ChatCache.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { Settings } from "../../src/services/Settings.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { settingsLayer } from "../contracts/CacheBackend.ts"
import { send } from "../http/client.ts"
import { serverOptions, Target } from "../http/TestServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import { freshDatabase, query, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"
import { entryCases, type EntryCase, type PoisonCase, poisonCases, values } from "./cases.ts"

const target = Layer.effect(
  Target,
  Effect.map(Server.url, (url) => ({ url, port: Number(new URL(url).port) })),
).pipe(Layer.provide(Server.layer(serverOptions)), Layer.orDie)

const environment = target.pipe(
  Layer.provideMerge(Layer.orDie(ChatCacheLayer.layer)),
  Layer.provideMerge(
    Layer.unwrapEffect(Effect.map(uniqueKeyPrefix, (keyPrefix) => settingsLayer({ keyPrefix }))),
  ),
  Layer.provideMerge(Layer.merge(valkeyShared, freshDatabase)),
  Layer.provide(Logger.minimumLogLevel(LogLevel.None)),
)

// Each test is hundreds of small ones.
vi.setConfig({ testTimeout: 120_000 })

const severalAtOnce = { concurrency: 4 }

const json = { "content-type": "application/json" }

const good = (id: string) => ({
  owner_id: "1",
  username: "ada",
  channel: "general",
  message: "good",
  message_id: id,
})

const execute = (statement: string, values: ReadonlyArray<unknown> = []) =>
  Effect.flatMap(PostgresServer, ({ url }) => query(url, statement, values))

const push = (entries: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const { keyPrefix } = yield* Settings
    const client = yield* rawClient((yield* ValkeyServer).url)
    yield* Effect.promise(() =>
      client.rpush(`${keyPrefix}flush_messages`, ...entries.map((entry) => Buffer.from(entry))),
    )
  }).pipe(Effect.scoped)

const concatenated = (...parts: ReadonlyArray<string | Uint8Array>) =>
  Buffer.concat(parts.map((part) => Buffer.from(part)))

const batchOf = (before: object, poison: string | Uint8Array, behind: object) =>
  concatenated(`{"messages":[${JSON.stringify(before)},`, poison, `,${JSON.stringify(behind)}]}`)

/** How often each of the ids is stored. */
const timesStored = (ids: ReadonlyArray<string>) =>
  Effect.map(
    execute(
      `SELECT given.id, count(message_id)::int AS times
       FROM unnest($1::uuid[]) AS given (id) LEFT JOIN chat_messages ON message_id = given.id GROUP BY 1`,
      [ids],
    ),
    (rows) => {
      const times = new Map(rows.map((row) => [row["id"] as string, row["times"] as number]))
      return ids.map((id) => times.get(id)!)
    },
  )

const highestQuarantineId = Effect.map(
  execute("SELECT coalesce(max(id), 0)::int AS id FROM quarantined_messages"),
  ([row]) => row!["id"] as number,
)

/** What is compared of all cases at once: the difference names those that went another way. */
const byName = <Case extends { readonly name: string }, A>(
  cases: ReadonlyArray<Case>,
  value: (one: Case, index: number) => A,
): Readonly<Record<string, A>> => Object.fromEntries(cases.map((one, index) => [one.name, value(one, index)]))

/** Poison, its id, and the good messages before and behind it. */
const amongNeighbours = <Case>(cases: ReadonlyArray<Case>) =>
  cases.map((one) => ({ case: one, id: randomUUID(), neighbours: [randomUUID(), randomUUID()] as const }))

type Neighbourhoods = ReadonlyArray<{ readonly id: string; readonly neighbours: readonly [string, string] }>

/** Moves everything into the table: each neighbour must be there once, and the poison where it was taken. */
const expectStored = Effect.fnUntraced(function* (
  neighbourhoods: Neighbourhoods,
  isTaken: ReadonlyArray<boolean>,
) {
  const { remaining, quarantined } = (yield* (yield* ChatCache).flush).public
  assert.deepStrictEqual({ remaining, quarantined }, { remaining: 0, quarantined: 0 })
  const neighbours = yield* timesStored(neighbourhoods.flatMap((one) => one.neighbours))
  assert.isTrue(neighbours.every((times) => times === 1))
  assert.deepStrictEqual(
    yield* timesStored(neighbourhoods.map(({ id }) => id)),
    isTaken.map((taken) => (taken ? 1 : 0)),
  )
})

const isTakenAtTheDoor = poisonCases.map(({ atTheDoor }) => atTheDoor === "accepted")

/** A text of JavaScript cannot be anything but text. */
const textCases = poisonCases.filter(({ inTheQueue }) => inTheQueue !== "invalid_utf8")

/** What a program would have made of the JSON, or the text itself where it is none. */
const valueOf = (data: string | Uint8Array): unknown => {
  const text = Buffer.from(data).toString()
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const tagOf = (outcome: Either.Either<unknown, PublishError>) =>
  Either.isRight(outcome) ? "accepted" : outcome.left._tag

/** The library knows neither JSON nor bodies. */
const inTheLibrary = ({ atTheDoor }: PoisonCase) => (atTheDoor === "accepted" ? "accepted" : "InvalidMessage")

const statuses = { accepted: 202, InvalidMessage: 400, InvalidJson: 400, PayloadTooLarge: 413 }

/** Open entries that have nothing in common with the cases, to be replayed with a correction. */
const quarantinedEntries = Effect.fnUntraced(function* (count: number) {
  const chat = yield* ChatCache
  const after = yield* highestQuarantineId
  yield* push(Array.from({ length: count }, () => Buffer.from(`junk ${randomUUID()}`)))
  yield* chat.flush
  return (yield* chat.quarantine.list({ after, limit: count })).map(({ id }) => id)
})

/** An entry whose correction was refused stays open. */
const expectReplays = Effect.fnUntraced(function* (
  cases: ReadonlyArray<PoisonCase>,
  entries: ReadonlyArray<number>,
  ids: ReadonlyArray<string>,
) {
  const rows = yield* execute("SELECT id::int, status FROM quarantined_messages")
  const statusOf = new Map(rows.map((row) => [row["id"], row["status"]]))
  assert.deepStrictEqual(
    byName(cases, (_, index) => statusOf.get(entries[index])),
    byName(cases, ({ atTheDoor }) => (atTheDoor === "accepted" ? "replayed" : "open")),
  )
  assert.deepStrictEqual(
    yield* timesStored(ids),
    cases.map(({ atTheDoor }) => (atTheDoor === "accepted" ? 1 : 0)),
  )
})

/** Pushes all of them at once, each between two good ones, and looks where each has gone. */
const expectInTheQueue = Effect.fnUntraced(function* (
  cases: ReadonlyArray<{
    readonly name: string
    readonly entry: (id: string) => Uint8Array
    readonly inTheQueue: EntryCase["inTheQueue"]
  }>,
) {
  const chat = yield* ChatCache
  const after = yield* highestQuarantineId
  const neighbourhoods = amongNeighbours(cases)
  const entries = neighbourhoods.map(({ case: { entry }, id }) => entry(id))
  const entryOf = (id: string) =>
    concatenated(
      `{"cache_id":1,"data":${JSON.stringify({ ...good(id), authored_at: "2026-03-01T12:00:00Z" })}}`,
    )
  yield* push(
    neighbourhoods.flatMap(({ neighbours: [before, behind] }, index) => [
      entryOf(before),
      entries[index]!,
      entryOf(behind),
    ]),
  )
  const flushed = (yield* chat.flush).public
  const rows = cases.filter(({ inTheQueue }) => inTheQueue === "row").length
  assert.deepStrictEqual(flushed, {
    persisted: 2 * cases.length + rows,
    duplicates: 0,
    deleted: 0,
    quarantined: cases.length - rows,
    remaining: 0,
  })
  const neighbours = yield* timesStored(neighbourhoods.flatMap((one) => one.neighbours))
  assert.isTrue(neighbours.every((times) => times === 1))
  const stored = yield* timesStored(neighbourhoods.map(({ id }) => id))
  const quarantined = yield* chat.quarantine.list({ after, limit: cases.length })
  assert.deepStrictEqual(
    byName(cases, (_, index) =>
      quarantined
        .filter(({ raw }) => Buffer.from(raw).equals(entries[index]!))
        .map(({ reason, status }) => `${status}: ${reason}`)
        .concat(Array.from({ length: stored[index]! }, () => "row")),
    ),
    byName(cases, ({ inTheQueue }) => [inTheQueue === "row" ? "row" : `open: ${inTheQueue}`]),
  )
})

layer(environment, { excludeTestServices: true })("poison", (it) => {
  it.effect("has no case twice", () =>
    Effect.sync(() => {
      const names = [...poisonCases, ...entryCases].map(({ name }) => name)
      assert.deepStrictEqual(names, [...new Set(names)])
    }),
  )

  it.effect("is refused by POST /messages, and what is good before and behind it is stored", () =>
    Effect.gen(function* () {
      const neighbourhoods = amongNeighbours(poisonCases)
      const answers = yield* Effect.forEach(
        neighbourhoods,
        Effect.fnUntraced(function* ({ case: { data }, id, neighbours: [before, behind] }) {
          assert.strictEqual((yield* send("POST", "/messages", { json: good(before) })).status, 202)
          const { status, body } = yield* send("POST", "/messages", { body: data(id), headers: json })
          assert.strictEqual((yield* send("POST", "/messages", { json: good(behind) })).status, 202)
          return `${status} ${body._tag ?? "accepted"}`
        }),
        severalAtOnce,
      )
      assert.deepStrictEqual(
        byName(poisonCases, (_, index) => answers[index]),
        byName(poisonCases, ({ atTheDoor }) => `${statuses[atTheDoor]} ${atTheDoor}`),
      )
      yield* expectStored(neighbourhoods, isTakenAtTheDoor)
    }),
  )

  it.effect("is refused by POST /messages/batch, alone where it has a place of its own", () =>
    Effect.gen(function* () {
      const neighbourhoods = amongNeighbours(poisonCases)
      const answers = yield* Effect.forEach(
        neighbourhoods,
        Effect.fnUntraced(function* ({ case: { data }, id, neighbours: [before, behind] }) {
          const { status, body } = yield* send("POST", "/messages/batch", {
            body: batchOf(good(before), data(id), good(behind)),
            headers: json,
          })
          if (status === 200) return body.results.map((result: { readonly status: string }) => result.status)
          // Nothing of it was taken, and who has sent it knows.
          const again = { messages: [good(before), good(behind)] }
          assert.strictEqual((yield* send("POST", "/messages/batch", { json: again })).status, 200)
          return [body._tag]
        }),
        severalAtOnce,
      )
      const expected = ({ atTheDoor }: PoisonCase) => {
        if (atTheDoor === "accepted") return ["accepted", "accepted", "accepted"]
        return atTheDoor === "InvalidMessage" ? ["accepted", "invalid", "accepted"] : [atTheDoor]
      }
      assert.deepStrictEqual(
        byName(poisonCases, (_, index) => answers[index]),
        byName(poisonCases, expected),
      )
      yield* expectStored(neighbourhoods, isTakenAtTheDoor)
    }),
  )

  it.effect("is refused by publish and publishAll", () =>
    Effect.gen(function* () {
      const chat = yield* ChatCache
      const expected = byName(textCases, inTheLibrary)
      const neighbourhoods = amongNeighbours(textCases)
      const outcomes = yield* chat.publishAll(
        neighbourhoods.flatMap(({ case: { data }, id, neighbours: [before, behind] }) => [
          good(before),
          valueOf(data(id)),
          good(behind),
        ]),
      )
      assert.deepStrictEqual(
        byName(textCases, (_, index) => tagOf(outcomes[3 * index + 1]!)),
        expected,
      )
      const isTaken = textCases.map((one) => inTheLibrary(one) === "accepted")
      yield* expectStored(neighbourhoods, isTaken)
      const alone = yield* Effect.forEach(
        textCases,
        ({ data }) => Effect.either(chat.publish(valueOf(data(randomUUID())) as never)),
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual(
        byName(textCases, (_, index) => tagOf(alone[index]!)),
        expected,
      )
    }),
  )

  it.effect("is refused by publish and publishAll when it is no data at all", () =>
    Effect.gen(function* () {
      const chat = yield* ChatCache
      const neighbourhoods = amongNeighbours(values)
      const outcomes = yield* chat.publishAll(
        neighbourhoods.flatMap(({ case: { value }, neighbours: [before, behind] }) => [
          good(before),
          value,
          good(behind),
        ]),
      )
      const refused = byName(values, () => "InvalidMessage")
      assert.deepStrictEqual(
        byName(values, (_, index) => tagOf(outcomes[3 * index + 1]!)),
        refused,
      )
      const alone = yield* Effect.forEach(values, ({ value }) => Effect.either(chat.publish(value as never)))
      assert.deepStrictEqual(
        byName(values, (_, index) => tagOf(alone[index]!)),
        refused,
      )
      yield* expectStored(
        neighbourhoods,
        values.map(() => false),
      )
    }),
  )

  it.effect("is refused as a correction, and the entry stays open", () =>
    Effect.gen(function* () {
      const chat = yield* ChatCache
      const entries = yield* quarantinedEntries(textCases.length)
      const ids = textCases.map(() => randomUUID())
      const outcomes = yield* Effect.forEach(
        textCases,
        ({ data }, index) =>
          Effect.either(chat.quarantine.replay(entries[index]!, valueOf(data(ids[index]!)))),
        severalAtOnce,
      )
      assert.deepStrictEqual(
        byName(textCases, (_, index) => {
          const outcome = outcomes[index]!
          return Either.isRight(outcome) ? "accepted" : outcome.left._tag
        }),
        byName(textCases, (one) => (inTheLibrary(one) === "accepted" ? "accepted" : "ReplayRefused")),
      )
      yield* expectReplays(textCases, entries, ids)
    }),
  )

  it.effect("is refused as a correction when it is no data at all", () =>
    Effect.gen(function* () {
      const chat = yield* ChatCache
      const [entry] = yield* quarantinedEntries(1)
      // Without a correction an entry is replayed as it was.
      const corrections = values.filter(({ value }) => value !== undefined)
      const errors = yield* Effect.forEach(corrections, ({ value }) =>
        Effect.flip(chat.quarantine.replay(entry!, value)),
      )
      assert.deepStrictEqual(
        byName(corrections, (_, index) => errors[index]!._tag),
        byName(corrections, () => "ReplayRefused"),
      )
      assert.strictEqual((yield* chat.quarantine.show(entry!)).status, "open")
    }),
  )

  it.effect("is refused by POST /quarantine/:id/replay, and the entry stays open", () =>
    Effect.gen(function* () {
      const entries = yield* quarantinedEntries(poisonCases.length)
      const ids = poisonCases.map(() => randomUUID())
      const answers = yield* Effect.forEach(
        poisonCases,
        Effect.fnUntraced(function* ({ data }, index) {
          const { status, body } = yield* send("POST", `/quarantine/${entries[index]}/replay`, {
            body: data(ids[index]!),
            headers: json,
          })
          return `${status} ${body._tag ?? "accepted"}`
        }),
        severalAtOnce,
      )
      assert.deepStrictEqual(
        byName(poisonCases, (_, index) => answers[index]),
        byName(poisonCases, ({ atTheDoor }) => {
          if (atTheDoor === "accepted") return "200 accepted"
          return atTheDoor === "InvalidMessage" ? "400 ReplayRefused" : `${statuses[atTheDoor]} ${atTheDoor}`
        }),
      )
      yield* expectReplays(poisonCases, entries, ids)
    }),
  )

  it.effect("goes from the queue into the quarantine, alone and with its bytes, if it is no message", () =>
    expectInTheQueue(
      poisonCases.map(({ name, data, inTheQueue }) => ({
        name,
        inTheQueue,
        entry: (id) => concatenated('{"cache_id":1,"data":', data(id), "}"),
      })),
    ),
  )

  it.effect("is found whatever is wrong with the entry around the message", () =>
    expectInTheQueue(
      entryCases.map(({ name, entry, inTheQueue }) => ({
        name,
        inTheQueue,
        entry: (id) =>
          concatenated(entry(JSON.stringify({ ...good(id), authored_at: "2026-03-01T12:00:00Z" }))),
      })),
    ),
  )
})
