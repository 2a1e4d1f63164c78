import { Chunk, Duration, Effect, Layer, Option, Redacted, Stream } from "effect"
import type { Client } from "pg"
import { escapeIdentifier, escapeLiteral } from "pg"
import type { Entry } from "../domain/Entry.ts"
import type { StoreError } from "../domain/Errors.ts"
import { type ColumnMapping, fieldsOf, ImportImpossible, mapColumns } from "../domain/Import.ts"
import { type QueueName, queueNames } from "../domain/Message.ts"
import { PostgresServer } from "../services/PostgresServer.ts"
import {
  Predecessor,
  type PredecessorOptions,
  type PredecessorRow,
  type PredecessorTable,
} from "../services/Predecessor.ts"
import { Settings } from "../services/Settings.ts"
import { Valkey } from "../services/Valkey.ts"
import * as Connection from "./postgres/Connection.ts"
import { failureOf, noAnswer, storeError } from "./postgres/Failure.ts"
import * as Keys from "./valkey/Keys.ts"

const pageSize = 1000

/** Counting a large table takes its time. */
const answerWithin = Duration.minutes(10)

const tableNames: Readonly<Record<QueueName, string>> = {
  public: "chat_messages",
  private: "private_messages",
}

/** Pages are written while the snapshot is open, so that it may be idle; each statement of it has its limit. */
const begin = `
  START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
  SET LOCAL statement_timeout = '9min';
  SET LOCAL idle_in_transaction_session_timeout = 0`

interface Column {
  readonly name: string
  readonly type: string
  readonly is_key: boolean
}

/** In the order of the primary key, then of the table. */
const columnsStatement = `
  SELECT columns.column_name AS name, columns.data_type AS type, keys.ordinal IS NOT NULL AS is_key
  FROM information_schema.columns
  LEFT JOIN (
    SELECT attribute.attname, given.ordinal
    FROM pg_index, unnest(indkey) WITH ORDINALITY AS given (attnum, ordinal), pg_attribute AS attribute
    WHERE indrelid = to_regclass(format('%I.%I', $1::text, $2::text)) AND indisprimary
      AND attribute.attrelid = indrelid AND attribute.attnum = given.attnum
  ) AS keys ON keys.attname = columns.column_name
  WHERE table_schema = $1 AND table_name = $2
  ORDER BY keys.ordinal, columns.ordinal_position`

const integerTypes = ["smallint", "integer", "bigint"]

const rfc3339 = (expression: string): string =>
  `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

const expressionOf = (field: string, { name, type }: Column, timeZone: string): string => {
  const column = escapeIdentifier(name)
  if (field !== "authored_at") return `${column}::text`
  if (type === "timestamp with time zone") return rfc3339(column)
  return type === "timestamp without time zone" || type === "date"
    ? rfc3339(`(${column}::timestamp AT TIME ZONE ${escapeLiteral(timeZone)})`)
    : `${column}::text`
}

/** The statement that reads the table as rows of texts: `key`, `cache_id`, `message_id`, and our fields. */
const selection = (
  schema: string,
  queue: QueueName,
  columns: ReadonlyArray<Column>,
  mapping: ColumnMapping,
  timeZone: string,
) => {
  const typed = new Map(columns.map((column) => [column.name, column]))
  const text = (column: string) => `${escapeIdentifier(column)}::text`
  const keyColumns = columns.filter(({ is_key }) => is_key)
  const integerKey =
    keyColumns.length === 1 && integerTypes.includes(keyColumns[0]!.type) ? keyColumns[0]!.name : undefined
  // A serial is a position, too, though not the counter's.
  const position = mapping.cacheId ?? integerKey
  const hasUuids = mapping.messageId !== undefined && typed.get(mapping.messageId)?.type === "uuid"
  const fields = fieldsOf[queue].map(
    (field) => `${expressionOf(field, typed.get(mapping.fields[field]!)!, timeZone)} AS ${field}`,
  )
  const order = keyColumns.map(({ name }) => escapeIdentifier(name)).join(", ")
  const quoted = `${escapeIdentifier(schema)}.${escapeIdentifier(tableNames[queue])}`
  return {
    quoted,
    select: `
      SELECT
        ARRAY[${keyColumns.map(({ name }) => text(name)).join(", ")}]::text[] AS key,
        ${position === undefined ? "NULL" : text(position)} AS cache_id,
        ${hasUuids ? text(mapping.messageId!) : "NULL"} AS message_id,
        ${fields.join(", ")}
      FROM ${quoted} ${order === "" ? "" : `ORDER BY ${order}`}`,
  }
}

const make = Effect.gen(function* () {
  const { url } = yield* PostgresServer
  const valkey = yield* Valkey
  const keys = Keys.make((yield* Settings).keyPrefix)

  const unavailable = (error: unknown): StoreError => storeError("import", failureOf(error))

  const connect = Effect.acquireRelease(
    Effect.try({
      try: () =>
        Connection.make(
          { url: Redacted.value(url), connectTimeoutMillis: 5000, terminationTimeoutMillis: 500 },
          () => {},
        ),
      catch: unavailable,
    }),
    ({ end }) => Effect.promise(() => end().catch(() => {})),
  )

  const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, StoreError> =>
    Effect.tryPromise({ try: run, catch: unavailable }).pipe(
      // A server that hangs gives no error at all.
      Effect.timeoutFail({ duration: answerWithin, onTimeout: () => noAnswer("import", answerWithin) }),
    )

  const rowsOf = <Row>(client: Client, statement: string, values: ReadonlyArray<unknown> = []) =>
    attempt(async () => (await client.query(statement, [...values])).rows as ReadonlyArray<Row>)

  const openTable = Effect.fnUntraced(function* (
    client: Client,
    queue: QueueName,
    { schema, timeZone, columns: chosen }: PredecessorOptions,
  ) {
    const columns = yield* rowsOf<Column>(client, columnsStatement, [schema, tableNames[queue]])
    const name = `${schema}.${tableNames[queue]}`
    if (columns.length === 0) return { name, table: undefined }
    const names = columns.map((column) => column.name)
    const mapping = mapColumns(queue, names, chosen)
    if (mapping.missing.length > 0) {
      return yield* new ImportImpossible({
        reason: `${name} has no column for ${mapping.missing.join(", ")} (it has ${names.join(", ")}); name one with --column, such as --column ${mapping.missing[0]}=its_name`,
      })
    }
    const { select, quoted } = selection(schema, queue, columns, mapping, timeZone)
    const rowOf = ({
      key,
      cache_id,
      message_id,
      ...fields
    }: Record<string, string | null>): PredecessorRow => ({
      key: JSON.stringify((key ?? []).length === 0 ? [cache_id, fields] : key),
      cacheId: cache_id ?? null,
      messageId: message_id ?? null,
      fields,
    })
    const cursor = `import_${queue}`
    const pages = Stream.unwrap(
      Effect.as(
        attempt(() => client.query(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${select}`)),
        Stream.repeatEffectOption(
          rowsOf<Record<string, string | null>>(client, `FETCH ${pageSize} FROM ${cursor}`).pipe(
            Effect.mapError(Option.some),
            Effect.flatMap((rows) =>
              rows.length === 0 ? Effect.fail(Option.none()) : Effect.succeed(rows.map(rowOf)),
            ),
          ),
        ),
      ),
    )
    const [counted] = yield* rowsOf<{ readonly count: number }>(
      client,
      `SELECT count(*) AS count FROM ${quoted}`,
    )
    const table: PredecessorTable = {
      queue,
      name,
      rowCount: counted!.count,
      hasCacheIds: mapping.cacheId !== undefined,
      pages,
    }
    return { name, table }
  })

  /** From the tail, whose entries keep their places while the predecessor removes some at the head. */
  const queued = (queue: QueueName) =>
    Stream.paginateChunkEffect(0, (skipped: number) =>
      valkey
        .sendForBytes("import", ["lrange", keys.flushQueue[queue], -skipped - pageSize, -skipped - 1])
        .pipe(
          Effect.map((reply) => {
            const entries = reply as ReadonlyArray<Entry>
            return [
              Chunk.fromIterable(entries),
              entries.length < pageSize ? Option.none() : Option.some(skipped + pageSize),
            ] as const
          }),
        ),
    )

  return Predecessor.of({
    open: Effect.fn("Predecessor.open")(function* (options: PredecessorOptions) {
      const { client, connect: open } = yield* connect
      yield* attempt(open)
      yield* attempt(() => client.query(begin))
      yield* rowsOf(client, `SELECT now() AT TIME ZONE ${escapeLiteral(options.timeZone)}`).pipe(
        Effect.mapError(
          () => new ImportImpossible({ reason: `PostgreSQL does not know the time zone of --time-zone` }),
        ),
      )
      const opened = yield* Effect.forEach(queueNames, (queue) => openTable(client, queue, options))
      const tables = opened.flatMap(({ table }) => (table === undefined ? [] : [table]))
      if (tables.length === 0) {
        return yield* new ImportImpossible({
          reason: `there is neither ${opened.map(({ name }) => name).join(" nor ")} that this user can see; name the schema with --schema`,
        })
      }
      return {
        tables,
        absent: opened.flatMap(({ name, table }) => (table === undefined ? [name] : [])),
        queued,
      }
    }),
  })
})

export const layer: Layer.Layer<Predecessor, never, PostgresServer | Valkey | Settings> = Layer.effect(
  Predecessor,
  make,
)
