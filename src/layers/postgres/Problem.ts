import { Cause, Clock, DateTime, Effect, Exit, Metric, Option } from "effect"
import { type StoreError, StoreMisconfigured, StoreUnavailable } from "../../domain/Errors.ts"
import * as Metrics from "../Metrics.ts"

/** What is wrong with the server as of the last operation, and since when. */
export interface ProblemTracker {
  readonly observe: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
  readonly sentence: Effect.Effect<string | undefined>
}

/** Two that want the same at once: the server works as it should. */
const contention: ReadonlySet<string | null> = new Set(["40001", "40P01", "55P03"])

const storeErrorOf = (exit: Exit.Exit<unknown, unknown>): StoreError | undefined => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
  const isProblem = error instanceof StoreUnavailable || error instanceof StoreMisconfigured
  return isProblem && !contention.has(error.sqlstate) ? error : undefined
}

const describe = (error: StoreError): string => {
  if (error._tag === "StoreMisconfigured") return "is misconfigured"
  return error.sqlstate === null ? "cannot be reached" : "is unavailable"
}

/** What an operator does about it, by SQLSTATE. */
const remedies: Readonly<Record<string, string>> = {
  "25006": "point DATABASE_URL to the primary, or make this server writable again",
  "28000": "correct the user in DATABASE_URL, or let it in (pg_hba.conf)",
  "28P01": "correct the user and the password in DATABASE_URL",
  "3D000": "create the database, or correct DATABASE_URL",
  "42501": "grant the right to the user of DATABASE_URL",
  "42703": "restore the column, as the files in migrations/ make it",
  "42P01": "restore the table, as the files in migrations/ make it",
  "53100": "free space on its disk",
  "53200": "give it more memory, or raise max_locks_per_transaction",
  "53300": "raise max_connections, or close other connections",
  "57P03": "wait until it has started or recovered",
}

const remedyFor = (error: StoreError): string =>
  remedies[error.sqlstate ?? ""] ??
  (error.sqlstate === null
    ? "start it, or correct DATABASE_URL"
    : error._tag === "StoreMisconfigured"
      ? "repair it"
      : "look into its log")

/** @param address `host:port`, for the reader */
export const make = (address: string): ProblemTracker => {
  let current: { readonly since: string; readonly error: StoreError } | undefined
  return {
    observe: Effect.fnUntraced(function* (exit) {
      // An operation that was called off says nothing about the server.
      if (Exit.isInterrupted(exit)) return
      const error = storeErrorOf(exit)
      const now = DateTime.formatIso(DateTime.unsafeMake(yield* Clock.currentTimeMillis))
      current = error === undefined ? undefined : { since: current?.since ?? now, error }
      yield* Metric.set(Metrics.up.postgresql, error === undefined ? 1 : 0)
    }),
    sentence: Effect.sync(() =>
      current === undefined
        ? undefined
        : `PostgreSQL at ${address} ${describe(current.error)} since ${current.since} (${current.error.reason}): ${remedyFor(current.error)}; messages stay queued until it works again.`,
    ),
  }
}
