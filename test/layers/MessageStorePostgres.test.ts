import { expect, layer } from "@effect/vitest"
import { Effect, Either, Layer, Redacted, Struct } from "effect"
import * as fc from "fast-check"
import { randomUUID } from "node:crypto"
import { Client } from "pg"
import { vi } from "vitest"
import {
  type CachedMessage,
  PrivateMessageDraft,
  PublicMessageDraft,
  type QueueName,
} from "../../src/domain/Message.ts"
import { decodeWithProblems } from "../../src/domain/Validation.ts"
import * as MessageStorePostgres from "../../src/layers/MessageStorePostgres.ts"
import * as ArrayLiteral from "../../src/layers/postgres/ArrayLiteral.ts"
import * as PostgresLayer from "../../src/layers/postgres/Postgres.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { publicMessage } from "../contracts/StoreBackend.ts"
import {
  anyText,
  privateMessageDraft,
  publicMessageDraft,
  storableText,
  timestampWithInstant,
} from "../support/arbitraries.ts"
import { sentText } from "../support/sentText.ts"
import { freshDatabase, query } from "../support/Servers.ts"

const environment = MessageStorePostgres.layer.pipe(
  Layer.provide(PostgresLayer.layer),
  Layer.provideMerge(freshDatabase),
)

const control = (statement: string, values: ReadonlyArray<unknown> = []) =>
  Effect.flatMap(PostgresServer, ({ url }) => query(url, statement, values))

const insert = (queue: QueueName, messages: ReadonlyArray<CachedMessage>) =>
  Effect.flatMap(MessageStore, (store) =>
    store.transaction((transaction) => transaction.insert(queue, messages)),
  )

const tables = { public: "chat_messages", private: "private_messages" } as const

/** The rows of these messages, in order, with the time as milliseconds. */
const rowsOf = (queue: QueueName, messages: ReadonlyArray<CachedMessage>) =>
  control(
    `SELECT stored.*, extract(epoch FROM stored.authored_at) * 1000 AS millis
     FROM unnest($1::uuid[]) WITH ORDINALITY AS given (message_id, ordinal) JOIN ${tables[queue]} AS stored USING (message_id)
     ORDER BY ordinal`,
    [messages.map(({ message_id }) => message_id)],
  )

const contentOf = (message: CachedMessage) => Struct.omit(message, "cache_id", "authored_at")

let given = 0

/** The draft as the publisher queues it, with an id of its own, so that no two are the same message. */
const queued = (draft: PublicMessageDraft | PrivateMessageDraft, authored_at: string): CachedMessage => {
  given += 1
  const { cache_id, message_id } = publicMessage(given)
  return { ...draft, cache_id, message_id, authored_at } as CachedMessage
}

/** Inserts what the schema accepts; every row must say what the draft says. */
const expectStored = Effect.fnUntraced(function* (queue: QueueName, messages: ReadonlyArray<CachedMessage>) {
  expect(yield* insert(queue, messages)).toEqual({ inserted: messages.length, conflicts: [], deleted: [] })
  const rows = yield* rowsOf(queue, messages)
  expect(rows.length).toBe(messages.length)
  for (const [index, message] of messages.entries()) expect(rows[index]).toMatchObject(contentOf(message))
  return rows
})

const decode = {
  public: decodeWithProblems(PublicMessageDraft),
  private: decodeWithProblems(PrivateMessageDraft),
}

/** Texts around every limit of the schema, most of which it refuses. */
const doubtfulText = (maximum: number) =>
  fc.oneof(
    anyText,
    storableText(maximum + 1, maximum - 1),
    fc.integer({ min: maximum - 1, max: maximum + 1 }).map((length) => "😀".repeat(length)),
    fc.constantFrom("", " ", "NULL", "{}", '"', "\\", "\\\\", "a\u0000", "\ud800"),
  )

const doubtfulTimestamp = fc.oneof(
  timestampWithInstant.map(({ text }) => text),
  fc.constantFrom(
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "0001-01-01T15:59:00+15:59",
    "9999-12-31T08:00:59-15:59",
    "2024-02-29t23:59:59.5z",
    "2023-02-29T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T23:59:60Z",
    "2026-01-01T00:00:00+16:00",
    "2026-01-01T00:00:00",
    "now",
    "infinity",
  ),
)

/** A valid draft of which one field is doubtful. */
const doubtful = <Draft extends object>(
  valid: fc.Arbitrary<Draft>,
  fields: Readonly<Record<string, fc.Arbitrary<string>>>,
): fc.Arbitrary<Draft & { readonly authored_at: string }> =>
  fc
    .record({
      draft: valid,
      authored_at: timestampWithInstant.map(({ text }) => text),
      change: fc.oneof(
        ...Object.entries(fields).map(([field, values]) => values.map((value) => ({ [field]: value }))),
      ),
    })
    .map(({ draft, authored_at, change }) => ({ ...draft, authored_at, ...change }))

const doubtfulDraft: Readonly<Record<QueueName, fc.Arbitrary<object & { readonly authored_at: string }>>> = {
  public: doubtful(publicMessageDraft, {
    owner_id: doubtfulText(36),
    username: doubtfulText(64),
    channel: doubtfulText(24),
    message: doubtfulText(100),
    authored_at: doubtfulTimestamp,
  }),
  private: doubtful(privateMessageDraft, {
    owner_id: doubtfulText(36),
    username: doubtfulText(64),
    recipient_id: doubtfulText(36),
    recipient: doubtfulText(64),
    message: doubtfulText(100),
    authored_at: doubtfulTimestamp,
  }),
}

/** What the schema refuses because PostgreSQL cannot store it as it is. */
const unstorable: fc.Arbitrary<Partial<Record<string, string>>> = fc.oneof(
  fc
    .tuple(fc.constantFrom("owner_id", "username", "channel", "message"), anyText)
    .map(([column, text]) => ({ [column]: `${text.toWellFormed().slice(0, 5)}\u0000` })),
  fc
    .tuple(
      fc.constantFrom("owner_id", "username", "channel", "message"),
      fc.constantFrom("\ud800", "\udfff", "a\udbff", "\udc00b"),
    )
    .map(([column, text]) => ({ [column]: text })),
  storableText(30, 25)
    .filter((text) => [...text].length > 24)
    .map((channel) => ({ channel })),
  storableText(70, 65)
    .filter((text) => [...text].length > 64)
    .map((username) => ({ username })),
  fc.constantFrom(
    { authored_at: "2023-02-29T00:00:00Z" },
    { authored_at: "2026-13-01T00:00:00Z" },
    { authored_at: "2026-01-01T25:00:00Z" },
    { authored_at: "2026-01-01T00:00:00+16:00" },
    { message_id: "0000" },
  ),
)

layer(environment, { excludeTestServices: true })("PostgreSQL", (it) => {
  it.effect.prop(
    "stores every draft that the schema accepts, and gives back what was said, to the character",
    {
      ofPublic: fc.array(fc.tuple(publicMessageDraft, timestampWithInstant), {
        minLength: 20,
        maxLength: 60,
      }),
      ofPrivate: fc.array(fc.tuple(privateMessageDraft, timestampWithInstant), {
        minLength: 20,
        maxLength: 60,
      }),
    },
    ({ ofPublic, ofPrivate }) =>
      Effect.gen(function* () {
        const drafts = { public: ofPublic, private: ofPrivate }
        for (const queue of ["public", "private"] as const) {
          const messages = drafts[queue].map(([draft, { text }]) => {
            const accepted: Either.Either<PublicMessageDraft | PrivateMessageDraft, unknown> =
              decode[queue](draft)
            return queued(Either.getOrThrow(accepted), text)
          })
          const rows = yield* expectStored(queue, messages)
          for (const [index, [, { instant }]] of drafts[queue].entries()) {
            // PostgreSQL rounds to microseconds what may have been written in nanoseconds.
            expect(Math.abs(Number(rows[index]!["millis"]) - instant)).toBeLessThanOrEqual(1)
          }
        }
      }),
    { fastCheck: { numRuns: 12 } },
  )

  it.effect.each(["public", "private"] as const)(
    "stores whatever of doubtful drafts the schema lets through (%s)",
    (queue) =>
      Effect.gen(function* () {
        const drafts = fc.sample(doubtfulDraft[queue], 400)
        const accepted = drafts.flatMap((draft) => {
          const decoded: Either.Either<PublicMessageDraft | PrivateMessageDraft, unknown> =
            decode[queue](draft)
          return Either.isRight(decoded) ? [queued(decoded.right, draft.authored_at)] : []
        })
        expect(accepted.length).toBeGreaterThan(50)
        yield* expectStored(queue, accepted)
      }),
  )

  it.effect.prop(
    "refuses or alters what the schema refuses for its sake",
    { changes: fc.array(unstorable, { minLength: 10, maxLength: 10 }) },
    ({ changes }) =>
      Effect.forEach(
        changes,
        Effect.fnUntraced(function* (change) {
          given += 1
          const message = publicMessage(given, change)
          const { message_id, cache_id: _, ...draft } = message
          expect(Either.isLeft(decode.public({ message_id, ...draft }))).toBe(true)
          const result = yield* Effect.either(insert("public", [message]))
          if (Either.isLeft(result)) {
            expect(result.left._tag).toBe("RowsRefused")
            return
          }
          const [row] = yield* rowsOf("public", [message])
          expect(row).not.toMatchObject(contentOf(message))
        }),
        { discard: true },
      ),
    { fastCheck: { numRuns: 8 } },
  )

  it.effect("stores a message of 64 KiB, and many of them in one statement", () =>
    Effect.gen(function* () {
      const largest = "😀".repeat(16 * 1024)
      const messages = Array.from({ length: 20 }, () => {
        given += 1
        return publicMessage(given, { message: `${largest.slice(8)}"\\{}`.slice(0, largest.length) })
      })
      yield* expectStored("public", messages)
    }),
  )

  it.effect.prop(
    "reads array literals as what they were made of",
    {
      texts: fc.array(fc.option(storableText(20), { nil: null })),
      integers: fc.array(fc.option(fc.maxSafeInteger(), { nil: null })),
      bytes: fc.array(fc.uint8Array({ maxLength: 20 })),
    },
    ({ texts, integers, bytes }) =>
      Effect.gen(function* () {
        const [row] = yield* control(
          "SELECT $1::text[] AS texts, $2::bigint[]::text[] AS integers, $3::bytea[] AS bytes",
          [ArrayLiteral.texts(texts), ArrayLiteral.integers(integers), ArrayLiteral.bytes(bytes)],
        )
        expect(row).toEqual({
          texts,
          integers: integers.map((value) => (value === null ? null : String(value))),
          bytes: bytes.map((value) => Buffer.from(value)),
        })
      }),
    { fastCheck: { numRuns: 40 } },
  )

  it.effect("names the constraint, and not the row, when the table refuses one for a reason of its own", () =>
    Effect.gen(function* () {
      yield* control(
        "ALTER TABLE chat_messages ADD CONSTRAINT no_shouting CHECK (message <> upper(message)) NOT VALID",
      )
      given += 1
      const error = yield* Effect.flip(insert("public", [publicMessage(given, { message: "SECRET" })]))
      expect(error).toMatchObject({
        _tag: "RowsRefused",
        reason: "a check constraint is violated (no_shouting)",
        sqlstate: "23514",
      })
      yield* control("ALTER TABLE chat_messages DROP CONSTRAINT no_shouting")
    }),
  )

  it.effect("tells which row of several is refused, whatever its text pretends", () =>
    Effect.gen(function* () {
      yield* control(
        "ALTER TABLE chat_messages ADD CONSTRAINT no_shouting CHECK (message <> upper(message)) NOT VALID",
      )
      const messages = ["a\nquiet one", "COPY chat_messages, line 1\nLOUD".toUpperCase(), "quiet too"].map(
        (message) => publicMessage(++given, { message }),
      )
      const error = yield* Effect.flip(insert("public", messages))
      expect(error).toMatchObject({ _tag: "RowsRefused", sqlstate: "23514", suspect: 1 })
      yield* control("ALTER TABLE chat_messages DROP CONSTRAINT no_shouting")
    }),
  )

  it.effect("a refusal that comes while most rows are still on their way disturbs nothing that follows", () =>
    Effect.gen(function* () {
      yield* control(
        "ALTER TABLE chat_messages ADD CONSTRAINT no_shouting CHECK (message <> upper(message)) NOT VALID",
      )
      const loud = publicMessage(++given, { message: "LOUD" })
      // More than the buffers between here and the server hold.
      const quiet = Array.from({ length: 3000 }, () =>
        publicMessage(++given, { message: "quiet ".repeat(500) }),
      )
      const store = yield* MessageStore
      const report = yield* store.transaction((transaction) =>
        transaction.insert("public", [loud, ...quiet]).pipe(
          Effect.flip,
          Effect.tap((error) => expect(error).toMatchObject({ _tag: "RowsRefused", suspect: 0 })),
          Effect.zipRight(transaction.insert("public", quiet)),
        ),
      )
      expect(report).toEqual({ inserted: quiet.length, conflicts: [], deleted: [] })
      expect((yield* rowsOf("public", [loud, ...quiet])).length).toBe(quiet.length)
      yield* control("ALTER TABLE chat_messages DROP CONSTRAINT no_shouting")
    }),
  )

  it.effect("copies new messages, and looks at each only where one is stored or deleted", () =>
    Effect.gen(function* () {
      const sent: Array<string> = []
      const send = Client.prototype.query as (this: Client, ...args: ReadonlyArray<unknown>) => unknown
      const spy = vi.spyOn(Client.prototype, "query").mockImplementation(function (
        this: Client,
        ...args: Array<unknown>
      ) {
        sent.push(sentText(args[0]))
        return send.apply(this, args)
      } as Client["query"])
      yield* Effect.addFinalizer(() => Effect.sync(() => spy.mockRestore()))
      const messages = [publicMessage(++given), publicMessage(++given)]
      /** The commands that ask or change something, in order. */
      const commands = () =>
        sent.splice(0).flatMap((text) => /\b(INSERT|COPY|SELECT EXISTS|COMMIT)\b/.exec(text)?.[1] ?? [])
      expect(yield* insert("public", messages)).toMatchObject({ inserted: 2 })
      expect(commands()).toEqual(["SELECT EXISTS", "COPY", "COMMIT"])

      const more = [publicMessage(++given), messages[0]!, publicMessage(++given)]
      expect(yield* insert("public", more)).toEqual({ inserted: 2, conflicts: [], deleted: [] })
      expect(commands()).toEqual(["SELECT EXISTS", "COPY", "INSERT", "COMMIT"])

      const deleted = publicMessage(++given)
      yield* Effect.flatMap(MessageStore, (store) =>
        store.transaction((transaction) => transaction.deleteMessage("public", deleted.message_id)),
      )
      commands()
      const withDeleted = [publicMessage(++given), deleted]
      expect(yield* insert("public", withDeleted)).toEqual({ inserted: 1, conflicts: [], deleted: [1] })
      expect(commands()).toEqual(["SELECT EXISTS", "SELECT EXISTS", "INSERT", "COMMIT"])
      expect(yield* insert("public", [publicMessage(++given)])).toMatchObject({ inserted: 1 })
      expect(commands()).toEqual(["SELECT EXISTS", "SELECT EXISTS", "COPY", "COMMIT"])
    }).pipe(Effect.scoped),
  )

  it.effect("stores where row-level security holds for its user, which COPY does not know", () =>
    Effect.gen(function* () {
      const role = `role_${randomUUID().replaceAll("-", "")}`
      yield* Effect.acquireRelease(
        Effect.all([
          control(`CREATE ROLE ${role}`),
          control(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`),
          control(`CREATE POLICY all_rows ON chat_messages TO ${role} USING (true)`),
          control("ALTER TABLE chat_messages ENABLE ROW LEVEL SECURITY"),
        ]),
        () =>
          Effect.all([
            control("ALTER TABLE chat_messages DISABLE ROW LEVEL SECURITY"),
            control("DROP POLICY all_rows ON chat_messages"),
            control(`DROP OWNED BY ${role}`),
            control(`DROP ROLE ${role}`),
          ]),
      )
      const { url } = yield* PostgresServer
      const asRole = new URL(Redacted.value(url))
      asRole.searchParams.set("options", `-c role=${role}`)
      const environment = MessageStorePostgres.layer.pipe(
        Layer.provide(PostgresLayer.layerWith({ migrates: false })),
        Layer.provide(Layer.succeed(PostgresServer, { url: Redacted.make(asRole.href) })),
      )
      const report = yield* Effect.provide(insert("public", [publicMessage(++given)]), environment)
      expect(report).toEqual({ inserted: 1, conflicts: [], deleted: [] })
    }).pipe(Effect.scoped),
  )

  it.effect("passes over what is stored although a constraint that came later would refuse it now", () =>
    Effect.gen(function* () {
      given += 1
      const stored = publicMessage(given, { message: "STORED" })
      const report = { inserted: 0, conflicts: [], deleted: [] }
      expect(yield* insert("public", [stored])).toEqual({ ...report, inserted: 1 })
      yield* control(
        "ALTER TABLE chat_messages ADD CONSTRAINT no_shouting CHECK (message <> upper(message)) NOT VALID",
      )
      expect(yield* insert("public", [stored])).toEqual(report)
      // With other content it is another message, which must not count as stored.
      const other = { ...stored, message: "OTHER" }
      expect(yield* insert("public", [other])).toEqual({ ...report, conflicts: [0] })
      given += 1
      const error = yield* Effect.flip(insert("public", [publicMessage(given, { message: "NEW" })]))
      expect(error).toMatchObject({ _tag: "RowsRefused", sqlstate: "23514" })
      yield* control("ALTER TABLE chat_messages DROP CONSTRAINT no_shouting")
    }),
  )

  it.effect("says that the table is missing, which is nobody's message's fault", () =>
    Effect.gen(function* () {
      yield* control("ALTER TABLE private_messages RENAME TO elsewhere")
      const error = yield* Effect.flip(insert("private", [publicMessage(1)]))
      expect(error).toMatchObject({
        _tag: "StoreMisconfigured",
        reason: 'relation "private_messages" does not exist',
        sqlstate: "42P01",
      })
      yield* control("ALTER TABLE elsewhere RENAME TO private_messages")
    }),
  )
})
