import { Context, type Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"

/** The tables of PostgreSQL, as this version needs them. */
export class Migrator extends Context.Tag("chat-cache/Migrator")<
  Migrator,
  {
    /**
     * The names of the migrations that the database does not have yet, in order. Changes nothing. Fails
     * within 15 seconds once PostgreSQL no longer answers.
     */
    readonly pending: Effect.Effect<ReadonlyArray<string>, StoreError>

    /**
     * Applies them in one transaction, and returns their names. Several processes may do it at once. Fails within
     * 10 seconds when PostgreSQL does not answer at all, and otherwise ends within 3600 seconds, since building an index
     * on a large table takes its time.
     */
    readonly apply: Effect.Effect<ReadonlyArray<string>, StoreError>
  }
>() {}
