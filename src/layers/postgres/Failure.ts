import { Duration } from "effect"
import { DatabaseError } from "pg"
import { RowsRefused, type StoreError, StoreMisconfigured, StoreUnavailable } from "../../domain/Errors.ts"
import { faultOf } from "../../domain/SqlState.ts"
import { tlsProblem } from "../tlsProblem.ts"
import * as Copy from "./Copy.ts"

/**
 * Classes whose messages speak of the server, its objects and its settings, and never quote a value. What PostgreSQL
 * says about data, or what a trigger of somebody else raises, may be what a user wrote in private.
 */
const quotableClasses = new Set(["08", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58"])

/** What is wrong with data, by SQLSTATE, without quoting it. */
const dataReasons: Readonly<Record<string, string>> = {
  "22001": "a text is longer than its column allows",
  "22003": "a number is out of the range of its column",
  "22007": "a text is not a timestamp",
  "22008": "a timestamp is out of range",
  "22009": "a timestamp has an offset that is out of range",
  "22021": "a text contains a character that PostgreSQL cannot store",
  "22P02": "a text is not a value of its column's type",
  "22P05": "a text contains a character that PostgreSQL cannot store",
  "23502": "a value is missing",
  "23503": "a row that it refers to is missing",
  "23505": "a value that has to be unique is there already",
  "23514": "a check constraint is violated",
  "54000": "a value exceeds a limit of PostgreSQL",
  "54001": "a value is nested too deeply",
}

/** Looks through the wrappers of slonik for what the server itself said. */
const serverError = (error: unknown): DatabaseError | undefined => {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    if (cause instanceof DatabaseError) return cause
  }
  return undefined
}

/** Connecting to a name with several addresses fails with one error for each of them and no message of its own. */
const clientReason = (error: unknown): string => {
  if (error instanceof AggregateError) return error.errors.map(clientReason).join(", ")
  if (!(error instanceof Error)) return "it failed without an error"
  if (error.message !== "") return error.message
  return error.cause === undefined ? error.name : clientReason(error.cause)
}

const serverReason = (sqlstate: string, error: DatabaseError): string => {
  if (quotableClasses.has(sqlstate.slice(0, 2))) return error.message
  const reason = dataReasons[sqlstate] ?? "the server reports an error of its own"
  const place = error.constraint ?? error.column
  return place === undefined ? reason : `${reason} (${place})`
}

/** What the server refused, without any of the values that it was given. */
export interface Failure {
  readonly reason: string
  /** `null` when the server did not answer. */
  readonly sqlstate: string | null
  /** Index of the row that the server was at, where it said so. */
  readonly suspect?: number | undefined
}

const suspectOf = (error: DatabaseError): number | undefined => {
  const line = Copy.lineIn(error.where)
  return line === undefined ? undefined : line - 1
}

export const failureOf = (error: unknown): Failure => {
  const server = serverError(error)
  return server?.code === undefined
    ? {
        reason: tlsProblem(error, "sslrootcert=<file> in DATABASE_URL") ?? clientReason(error),
        sqlstate: null,
      }
    : { reason: serverReason(server.code, server), sqlstate: server.code, suspect: suspectOf(server) }
}

export const isData = ({ sqlstate }: Failure): boolean => faultOf(sqlstate ?? undefined) === "data"

export const rowsRefused = (failure: Failure): RowsRefused => new RowsRefused(failure)

/** Data that is refused where no message of a user is stored means that a table is not what it should be. */
export const storeError = (operation: string, { reason, sqlstate }: Failure): StoreError =>
  sqlstate === null || faultOf(sqlstate) === "outage"
    ? new StoreUnavailable({ operation, reason, sqlstate })
    : new StoreMisconfigured({ operation, reason, sqlstate })

/** The deadline of the operation has passed. */
export const noAnswer = (operation: string, limit: Duration.DurationInput): StoreUnavailable =>
  new StoreUnavailable({ operation, reason: `no answer within ${Duration.format(limit)}`, sqlstate: null })
