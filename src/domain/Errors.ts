/**
 * Every error of chat-cache, named by what the caller does next.
 *
 * - Correct the input and try again: `InvalidMessage`, `InvalidMessageId`, `InvalidHistoryQuery`,
 *   `InvalidRateLimitSettings`, `ReplayRefused`.
 * - Wait and try again: `RateLimited`, `QueueFull`, `StoreUnavailable`, and `CacheUnavailable` (with the same
 *   `message_id` when its execution is `unknown`, so that a message that did get through is not stored twice).
 * - Go elsewhere: `ShuttingDown`.
 * - Repair the installation: `StoreMisconfigured`, `SchemaSuspected`, `UnsafeConfiguration`. Nothing is lost meanwhile.
 *
 * No error carries the text of a message.
 */
import { Schema } from "effect"
import { QueueName } from "./Message.ts"
import { Problem } from "./Validation.ts"

/** The message breaks a rule and was not taken. Sending it again unchanged gives the same answer. */
export class InvalidMessage extends Schema.TaggedError<InvalidMessage>()("InvalidMessage", {
  problems: Schema.Array(Problem),
}) {
  override get message(): string {
    return `The message was not taken: ${this.problems
      .map(({ field, problem }) => `${field === "" ? "the message" : field} ${problem}`)
      .join("; ")}.`
  }
}

/** What was given as the id of a message cannot be one. Nothing was done. */
export class InvalidMessageId extends Schema.TaggedError<InvalidMessageId>()("InvalidMessageId", {
  problems: Schema.Array(Problem),
}) {
  override get message(): string {
    return `There is no such message_id: it ${this.problems.map(({ problem }) => problem).join("; ")}.`
  }
}

/** The user has sent as many messages as one window allows. Nothing was queued. */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", {
  /** Milliseconds until the window of this user ends. */
  retry_after_ms: Schema.Number,
}) {
  override get message(): string {
    return `Too many messages from this user: try again in ${this.retry_after_ms} ms.`
  }
}

/** A bounded queue has no room. Nothing was queued. */
export class QueueFull extends Schema.TaggedError<QueueFull>()("QueueFull", {
  queue: QueueName,
  /** Messages that have room. */
  maximum: Schema.Number,
}) {
  override get message(): string {
    return `The ${this.queue} queue holds its maximum of ${this.maximum} messages: try again when PostgreSQL has caught up.`
  }
}

/**
 * Valkey could not be asked or did not answer in time.
 * `refused`: nothing was executed. `unknown`: it may have been; try again with the same `message_id`.
 */
export class CacheUnavailable extends Schema.TaggedError<CacheUnavailable>()("CacheUnavailable", {
  /** What was asked, such as `publish`. */
  operation: Schema.String,
  execution: Schema.Literal("refused", "unknown"),
  reason: Schema.String,
  /** Of a message whose fate is unknown: the id to send it again with. */
  message_id: Schema.optionalWith(Schema.String, { exact: true }),
}) {
  override get message(): string {
    return this.execution === "refused"
      ? `Valkey is unavailable (${this.operation}: ${this.reason}); nothing was executed, try again later.`
      : `Valkey did not confirm (${this.operation}: ${this.reason}); try again with the same message_id${this.message_id === undefined ? "" : `, ${this.message_id}`}.`
  }
}

/** The counter of a queue is missing in Valkey and must be raised before ids can be given. Nothing was executed. */
export class CounterMissing extends Schema.TaggedError<CounterMissing>()("CounterMissing", {
  queue: QueueName,
}) {
  override get message(): string {
    return `The id counter of the ${this.queue} queue is missing in Valkey.`
  }
}

/** The daemon no longer takes messages. */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {}) {
  override get message(): string {
    return "chat-cache is shutting down and takes no new messages: send this to another instance or try again later."
  }
}

/** PostgreSQL cannot be reached, is busy or read-only, or did not answer in time. Trying again will help. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  operation: Schema.String,
  reason: Schema.String,
  sqlstate: Schema.NullOr(Schema.String),
}) {
  override get message(): string {
    return `PostgreSQL is unavailable (${this.operation}: ${this.reason}); nothing is lost, it is tried again.`
  }
}

/** PostgreSQL answers, but a table, a right, a database or a login is missing. Somebody has to repair it. */
export class StoreMisconfigured extends Schema.TaggedError<StoreMisconfigured>()("StoreMisconfigured", {
  operation: Schema.String,
  reason: Schema.String,
  sqlstate: Schema.String,
}) {
  override get message(): string {
    return `PostgreSQL is misconfigured (${this.operation}: ${this.reason}, SQLSTATE ${this.sqlstate}); repair it, the messages stay queued.`
  }
}

/** PostgreSQL refuses these rows for what they contain. */
export class RowsRefused extends Schema.TaggedError<RowsRefused>()("RowsRefused", {
  reason: Schema.String,
  sqlstate: Schema.NullOr(Schema.String),
  /** Index of the row that PostgreSQL was at, where it said so. A hint: nothing may rest on it. */
  suspect: Schema.optional(Schema.Number),
}) {
  override get message(): string {
    return `PostgreSQL refuses the data (SQLSTATE ${this.sqlstate ?? "unknown"}).`
  }
}

/**
 * More than half of a batch was refused by PostgreSQL: the table has changed, not the messages.
 * Nothing is quarantined and everything stays queued until the table is repaired.
 */
export class SchemaSuspected extends Schema.TaggedError<SchemaSuspected>()("SchemaSuspected", {
  queue: QueueName,
  rows: Schema.Number,
  sqlstate: Schema.NullOr(Schema.String),
}) {
  override get message(): string {
    return `PostgreSQL refuses more than half of ${this.rows} ${this.queue} messages (SQLSTATE ${this.sqlstate ?? "unknown"}): its table seems to have changed; nothing is quarantined, repair the table.`
  }
}

/** The books of a batch do not balance: a fault of this program. The transaction is rolled back. */
export class BooksOutOfBalance extends Schema.TaggedError<BooksOutOfBalance>()("BooksOutOfBalance", {
  queue: QueueName,
  entries: Schema.Number,
  accounted: Schema.Number,
}) {
  override get message(): string {
    return `Of ${this.entries} ${this.queue} entries ${this.accounted} are accounted for: nothing was committed, please report this fault.`
  }
}

/** An entry of a list that is not a message. */
export class UndecodableEntry extends Schema.TaggedError<UndecodableEntry>()("UndecodableEntry", {
  reason: Schema.Literal("invalid_utf8", "invalid_json", "wrong_shape"),
  detail: Schema.String,
}) {
  override get message(): string {
    return `The entry is not a message: ${this.detail}.`
  }
}

/** The limit breaks a rule, which `problems` says. The one in force stays. */
export class InvalidRateLimitSettings extends Schema.TaggedError<InvalidRateLimitSettings>()(
  "InvalidRateLimitSettings",
  { problems: Schema.Array(Problem) },
) {
  override get message(): string {
    return `The rate limit was not changed: ${this.problems.map(({ field, problem }) => `${field} ${problem}`).join("; ")}.`
  }
}

/** The page of the history that was asked for cannot be one: a cursor that is none, or two, or a limit out of range. */
export class InvalidHistoryQuery extends Schema.TaggedError<InvalidHistoryQuery>()("InvalidHistoryQuery", {
  problems: Schema.Array(Problem),
}) {
  override get message(): string {
    return `The history was not read: ${this.problems.map(({ field, problem }) => `${field} ${problem}`).join("; ")}.`
  }
}

/** No entry of the quarantine has this number. */
export class QuarantineEntryNotFound extends Schema.TaggedError<QuarantineEntryNotFound>()(
  "QuarantineEntryNotFound",
  { id: Schema.Number },
) {
  override get message(): string {
    return `There is no quarantined message ${this.id}.`
  }
}

/** Somebody has replayed or discarded this entry before, and the command asks for something else. */
export class QuarantineEntryResolved extends Schema.TaggedError<QuarantineEntryResolved>()(
  "QuarantineEntryResolved",
  { id: Schema.Number, status: Schema.Literal("replayed", "discarded") },
) {
  override get message(): string {
    return `The quarantined message ${this.id} has already been ${this.status}.`
  }
}

/** The message is still not one that can be stored. The entry stays open. */
export class ReplayRefused extends Schema.TaggedError<ReplayRefused>()("ReplayRefused", {
  id: Schema.Number,
  problems: Schema.Array(Problem),
}) {
  override get message(): string {
    return `The quarantined message ${this.id} cannot be stored: ${this.problems
      .map(({ field, problem }) => (field === "" ? problem : `${field} ${problem}`))
      .join("; ")}. Replay it with a corrected message.`
  }
}

/** A setting or a server is configured so that messages could be lost. The daemon does not start. */
export class UnsafeConfiguration extends Schema.TaggedError<UnsafeConfiguration>()("UnsafeConfiguration", {
  check: Schema.String,
  reason: Schema.String,
}) {
  override get message(): string {
    return `Unsafe configuration (${this.check}): ${this.reason}`
  }
}

/** What every operation on PostgreSQL can fail with. */
export type StoreError = StoreUnavailable | StoreMisconfigured
