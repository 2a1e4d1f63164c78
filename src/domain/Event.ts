import { Schema } from "effect"
import { QueueName } from "./Message.ts"

const Count = Schema.NonNegativeInt
const Milliseconds = Schema.NonNegative
const CacheIdOrNull = Schema.NullOr(Schema.Number)

/** What made a flush begin. */
export const FlushTrigger = Schema.Literal("threshold", "interval", "request", "retry", "drain")
export type FlushTrigger = typeof FlushTrigger.Type

/** One batch left a queue: every entry of it is a row, was one already, is quarantined, or had been deleted. */
export class BatchPersisted extends Schema.TaggedClass<BatchPersisted>()("BatchPersisted", {
  queue: QueueName,
  trigger: FlushTrigger,
  /** The ids of the first and last entry that could be read, `null` when none could. */
  first_cache_id: CacheIdOrNull,
  last_cache_id: CacheIdOrNull,
  persisted: Count,
  duplicates: Count,
  quarantined: Count,
  /** Absent from the events of versions that could not delete. */
  deleted: Schema.optionalWith(Count, { default: () => 0 }),
  duration_ms: Milliseconds,
}) {}

/** Why an entry could not become a row. */
export const QuarantineReason = Schema.Literal(
  "invalid_utf8",
  "invalid_json",
  "wrong_shape",
  "refused_by_postgres",
  "message_id_conflict",
  "invalid_import",
)
export type QuarantineReason = typeof QuarantineReason.Type

/** An entry of a queue could not become a row and is in the quarantine, under the number `quarantine_id`. */
export class MessageQuarantined extends Schema.TaggedClass<MessageQuarantined>()("MessageQuarantined", {
  queue: QueueName,
  quarantine_id: Schema.Number,
  cache_id: CacheIdOrNull,
  reason: QuarantineReason,
  sqlstate: Schema.NullOr(Schema.String),
}) {}

/** A quarantined message became a row, as it was or corrected. */
export class QuarantineReplayed extends Schema.TaggedClass<QuarantineReplayed>()("QuarantineReplayed", {
  queue: QueueName,
  quarantine_id: Schema.Number,
  message_id: Schema.String,
  corrected: Schema.Boolean,
  /** False when the message was stored already, sent again meanwhile. Absent in events of older versions: true. */
  added_row: Schema.optionalWith(Schema.Boolean, { exact: true }),
  /** True when the message had no id and got the next one of the counter. */
  took_cache_id: Schema.optionalWith(Schema.Boolean, { exact: true }),
}) {}

/** A quarantined message will not become a row. Its bytes are kept. */
export class QuarantineDiscarded extends Schema.TaggedClass<QuarantineDiscarded>()("QuarantineDiscarded", {
  queue: QueueName,
  quarantine_id: Schema.Number,
}) {}

/** Somebody deleted a message, stored, queued, or not seen yet. It is recorded once, however often it is repeated. */
export class MessageDeleted extends Schema.TaggedClass<MessageDeleted>()("MessageDeleted", {
  queue: QueueName,
  message_id: Schema.String,
  /** True when the message was stored. Otherwise it is dropped where it comes from the queue, if ever. */
  removed_row: Schema.optionalWith(Schema.Boolean, { default: () => false }),
}) {}

/** Rows of another program's table became rows of ours. */
export class MessagesImported extends Schema.TaggedClass<MessagesImported>()("MessagesImported", {
  queue: QueueName,
  /** The table, such as `chatserver.chat_messages`. */
  source: Schema.String,
  persisted: Count,
  quarantined: Count,
}) {}

/** From here on a user may send `message_limit` messages in `window_seconds`. */
export class RateLimitChanged extends Schema.TaggedClass<RateLimitChanged>()("RateLimitChanged", {
  message_limit: Schema.Number,
  window_seconds: Schema.Number,
}) {}

/** Valkey's counter was missing or behind the tables (it lost data, or went back in time) and was raised. */
export class CounterReseeded extends Schema.TaggedClass<CounterReseeded>()("CounterReseeded", {
  queue: QueueName,
  /** `null` when the counter was missing. */
  from: CacheIdOrNull,
  to: Schema.Number,
}) {}

/** Flushing failed for a while. Recorded once, when it works again, because PostgreSQL itself may have been away. */
export class FlushFailed extends Schema.TaggedClass<FlushFailed>()("FlushFailed", {
  queue: QueueName,
  reason: Schema.String,
  attempts: Count,
  started_at: Schema.String,
  duration_ms: Milliseconds,
}) {}

/** Flushing works again. Comes right after its `FlushFailed`. */
export class FlushRecovered extends Schema.TaggedClass<FlushRecovered>()("FlushRecovered", {
  queue: QueueName,
}) {}

/** A process, daemon or application, began to take messages. */
export class DaemonStarted extends Schema.TaggedClass<DaemonStarted>()("DaemonStarted", {
  instance_id: Schema.String,
  version: Schema.String,
}) {}

/** A process has ended in order, with so many entries still queued; `null` when Valkey could not be asked. */
export class DaemonStopped extends Schema.TaggedClass<DaemonStopped>()("DaemonStopped", {
  instance_id: Schema.String,
  public_remaining: Schema.NullOr(Count),
  private_remaining: Schema.NullOr(Count),
}) {}

/** Everything that can have happened. */
export const Event = Schema.Union(
  BatchPersisted,
  MessageQuarantined,
  QuarantineReplayed,
  QuarantineDiscarded,
  MessageDeleted,
  MessagesImported,
  RateLimitChanged,
  CounterReseeded,
  FlushFailed,
  FlushRecovered,
  DaemonStarted,
  DaemonStopped,
)
export type Event = typeof Event.Type

/**
 * An event as the journal keeps it: `{ position, recorded_at, event }`, the time as RFC 3339 in UTC. Positions grow in the
 * order in which events became visible.
 */
export const RecordedEvent = Schema.Struct({
  position: Schema.Number,
  recorded_at: Schema.String,
  event: Event,
})
export type RecordedEvent = typeof RecordedEvent.Type
