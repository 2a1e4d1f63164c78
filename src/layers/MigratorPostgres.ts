import { Duration, Effect, Layer, Redacted } from "effect"
import { sql } from "slonik"
import { Migrator } from "../services/Migrator.ts"
import { Postgres } from "../services/Postgres.ts"
import { PostgresServer } from "../services/PostgresServer.ts"
import * as Migrations from "./postgres/Migrations.ts"
import { defaults } from "./postgres/Postgres.ts"

/** Somebody waits for it and can end it, and building an index on a large table takes its time. */
const deadline = Duration.hours(1)

const make = Effect.gen(function* () {
  const postgres = yield* Postgres
  const { url } = yield* PostgresServer

  const applied = Effect.gen(function* () {
    const [found] = yield* postgres.read<{ readonly exists: boolean }>(
      "Migrator.pending",
      sql.unsafe`SELECT to_regclass(${Migrations.table}) IS NOT NULL AS exists`,
    )
    if (found?.exists !== true) return []
    return yield* postgres.read<{ readonly name: string }>(
      "Migrator.pending",
      sql.unsafe`SELECT name FROM ${sql.identifier([Migrations.table])}`,
    )
  })

  return Migrator.of({
    pending: Effect.gen(function* () {
      const known = new Set((yield* applied).map(({ name }) => name))
      return (yield* Migrations.names).filter((name) => !known.has(name))
    }),
    apply: Migrations.apply(
      {
        url: Redacted.value(url),
        connectTimeoutMillis: Duration.toMillis(defaults.connectTimeout),
        terminationTimeoutMillis: Duration.toMillis(defaults.terminationTimeout),
      },
      deadline,
    ),
  })
})

/** @see Postgres the connection that `pending` reads on must not migrate by itself */
export const layer: Layer.Layer<Migrator, never, Postgres | PostgresServer> = Layer.effect(Migrator, make)
