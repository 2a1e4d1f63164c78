import { Schema } from "effect"

/**
 * - `rows`: the message table against what the journal says was stored.
 * - `quarantine`: the quarantine against what the journal says of it.
 * - `journal`: the journal against itself.
 * - `stored-and-quarantined`: messages in both places, other than conflicts.
 * - `queued-and-stored`: messages that the next flush passes over.
 * - `counter`: the id counter against the tables.
 * - `recent`: a sample of the recent caches against queue and tables.
 * - `books`: what was accepted against what became of it.
 */
export const AuditCheck = Schema.Literal(
  "rows",
  "quarantine",
  "journal",
  "stored-and-quarantined",
  "queued-and-stored",
  "counter",
  "recent",
  "books",
)
export type AuditCheck = typeof AuditCheck.Type
