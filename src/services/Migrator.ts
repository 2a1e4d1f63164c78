import { Context, type Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"

/** The tables of PostgreSQL, as this version needs them. */
export class Migrator extends Context.Tag("chat-cache/Migrator")<
  Migrator,
  {
    /** The names of the migrations that the database does not have yet, in order. Changes nothing. */
    readonly pending: Effect.Effect<ReadonlyArray<string>, StoreError>

    /** Applies them in one transaction, and returns their names. Several processes may do it at once. */
    readonly apply: Effect.Effect<ReadonlyArray<string>, StoreError>
  }
>() {}
