/** The routes for whoever runs chat-cache. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import { Schema } from "effect"
import { AuditCheck } from "../domain/AuditCheck.ts"
import { BatchPersisted } from "../domain/Event.ts"
import { QueueName } from "../domain/Message.ts"
import { RateLimitSettings } from "../domain/RateLimit.ts"
import { errorAnswers as error } from "./ErrorAnswers.ts"
import { BodyErrors, StoreErrors } from "./ErrorGroups.ts"

const FlushReport = Schema.Struct({
  persisted: Schema.Number,
  duplicates: Schema.Number,
  quarantined: Schema.Number,
  deleted: Schema.Number,
  remaining: Schema.Number,
})
export const Flushed = Schema.Struct({ public: FlushReport, private: FlushReport })

const QuarantineTotals = Schema.Struct({
  open: Schema.Number,
  replayed: Schema.Number,
  discarded: Schema.Number,
})

/** What one flush of the queue last did, without the name of the queue. */
const { _tag: _tagField, queue: _queueField, ...lastBatchFields } = BatchPersisted.fields

/**
 * What became of the messages of a queue: `accepted = stored by flushes + duplicates + deleted +
 * quarantined - foreign + queued`.
 * `difference` says what does not add up, and `lost` the least number of messages that Valkey has lost.
 */
const QueueBooks = Schema.Struct({
  accepted: Schema.NullOr(Schema.Number),
  stored: Schema.Number,
  duplicates: Schema.Number,
  deleted: Schema.Number,
  quarantine: QuarantineTotals,
  foreign: Schema.Number,
  queued: Schema.NullOr(Schema.Number),
  lost: Schema.Number,
  balanced: Schema.NullOr(Schema.Boolean),
  difference: Schema.NullOr(Schema.String),
}).annotations({ identifier: "QueueBooks" })

const QueueStatus = Schema.Struct({
  length: Schema.NullOr(Schema.Number),
  oldest_age_ms: Schema.NullOr(Schema.Number),
  batches: Schema.Number,
  persisted: Schema.Number,
  duplicates: Schema.Number,
  quarantined: Schema.Number,
  deleted: Schema.Number,
  quarantine: QuarantineTotals,
  outages: Schema.Number,
  reseeds: Schema.Number,
  last_batch: Schema.NullOr(Schema.Struct(lastBatchFields)),
  problem: Schema.NullOr(
    Schema.Struct({ reason: Schema.String, attempts: Schema.Number, since: Schema.String }),
  ),
  books: QueueBooks,
}).annotations({ identifier: "QueueStatus" })

export const Problems = Schema.Array(Schema.String)

export const StatusReport = Schema.Struct({
  status: Schema.Literal("ok", "degraded", "unavailable"),
  problems: Problems,
  instance_id: Schema.String,
  version: Schema.String,
  started_at: Schema.String,
  queues: Schema.Struct({ public: QueueStatus, private: QueueStatus }),
  settings: Schema.Struct({
    ...RateLimitSettings.fields,
    max_cache_size: Schema.Number,
    flush_interval_ms: Schema.Number,
    flush_batch_size: Schema.Number,
    max_queue_length: Schema.Number,
    shutdown_timeout_ms: Schema.Number,
  }),
  journal_position: Schema.Number,
}).annotations({ identifier: "StatusReport" })

const QueueCount = Schema.Struct({
  rows: Schema.Number,
  rows_journalled: Schema.Number,
  quarantine: QuarantineTotals,
  queued: Schema.Number,
})

/**
 * The books recounted from the servers. `consistent`: nothing is gone and nothing was changed by hand. The worst finding
 * comes first; each says what is wrong and how to repair it, and names at most ten examples.
 */
export const AuditReport = Schema.Struct({
  consistent: Schema.Boolean,
  findings: Schema.Array(
    Schema.Struct({
      severity: Schema.Literal("error", "warning", "notice"),
      check: AuditCheck,
      queue: QueueName,
      count: Schema.Number,
      reason: Schema.String,
      examples: Schema.Array(Schema.String),
    }),
  ),
  queues: Schema.Struct({ public: QueueCount, private: QueueCount }),
  journal_position: Schema.Number,
  duration_ms: Schema.Number,
}).annotations({ identifier: "AuditReport" })

export const operation = HttpApiGroup.make("operation")
  .add(
    HttpApiEndpoint.post("flush", "/flush")
      .addSuccess(Flushed)
      .addError(
        Schema.Union(
          ...StoreErrors.members,
          error.CacheUnavailable,
          error.SchemaSuspected,
          error.BooksOutOfBalance,
          error.ShuttingDown,
        ),
      ),
  )
  .add(
    HttpApiEndpoint.get("rateLimit", "/rate-limit")
      .addSuccess(RateLimitSettings)
      .addError(error.CacheUnavailable),
  )
  .add(
    HttpApiEndpoint.put("updateRateLimit", "/rate-limit")
      .setPayload(RateLimitSettings)
      .addSuccess(RateLimitSettings)
      .addError(
        Schema.Union(
          ...BodyErrors.members,
          ...StoreErrors.members,
          error.InvalidRateLimitSettings,
          error.CacheUnavailable,
        ),
      ),
  )
  .add(HttpApiEndpoint.get("status", "/status").addSuccess(StatusReport))
  .add(
    // It reads whole tables. One runs at a time, and each ends within a minute.
    HttpApiEndpoint.get("audit", "/audit")
      .addSuccess(AuditReport)
      .addError(Schema.Union(...StoreErrors.members, error.CacheUnavailable)),
  )
