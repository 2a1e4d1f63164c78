import { Context, type Effect } from "effect"
import type { CacheUnavailable, SchemaSuspected, StoreError } from "../domain/Errors.ts"
import type { ImportImpossible } from "../domain/Import.ts"
import type { QueueName } from "../domain/Message.ts"
import type { PredecessorOptions } from "./Predecessor.ts"

export interface ImportOptions extends PredecessorOptions {
  /** Does everything and commits nothing. */
  readonly dryRun: boolean
}

/** What became of the rows of one table: `rows = imported + already_stored + deleted + quarantined + already_quarantined`. */
export interface TableImport {
  readonly source: string
  readonly queue: QueueName
  readonly rows: number
  readonly imported: number
  readonly already_stored: number
  /** Deleted since they were imported. They stay deleted. */
  readonly deleted: number
  readonly quarantined: number
  readonly already_quarantined: number
}

export interface ImportReport {
  readonly tables: ReadonlyArray<TableImport>
  /** Tables that do not exist. */
  readonly absent: ReadonlyArray<string>
}

export type ImportError = ImportImpossible | StoreError | CacheUnavailable | SchemaSuspected

/**
 * Takes over the tables of a predecessor. Doing it again adds what is new, and nothing twice.
 *
 * It takes as long as there are rows. It fails within 30 seconds when a server does not answer, except where it reads
 * the tables of the predecessor: a server that falls silent there is given up as `Predecessor` says.
 */
export class Importer extends Context.Tag("chat-cache/Importer")<
  Importer,
  {
    /** @param onPage is told how many rows are done of how many */
    readonly run: (
      options: ImportOptions,
      onPage: (done: number, total: number) => Effect.Effect<void>,
    ) => Effect.Effect<ImportReport, ImportError>
  }
>() {}
