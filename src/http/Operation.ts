import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { ApiGroup } from "@effect/platform/HttpApiGroup"
import { Effect, Either, type Layer } from "effect"
import { InvalidRateLimitSettings } from "../domain/Errors.ts"
import type { BatchPersisted } from "../domain/Event.ts"
import { RateLimitSettings } from "../domain/RateLimit.ts"
import { decodeWithProblems } from "../domain/Validation.ts"
import { ChatCache } from "../services/ChatCache.ts"
import type { FlushReport } from "../services/Flusher.ts"
import type * as Audit from "../services/Audit.ts"
import type * as Status from "../services/Status.ts"
import { Api } from "./Api.ts"
import { AuditReport, Flushed, StatusReport } from "./OperationApi.ts"
import { maximumBytes, readJson } from "./RequestBody.ts"
import { reply } from "./reply.ts"

const replyAudit = reply(AuditReport)
const replyFlushed = reply(Flushed)
const replyRateLimit = reply(RateLimitSettings)
const replyStatus = reply(StatusReport)

type StatusJson = typeof StatusReport.Encoded

export const flushReport = ({
  persisted,
  duplicates,
  quarantined,
  deleted,
  remaining,
}: FlushReport): FlushReport => ({
  persisted,
  duplicates,
  quarantined,
  deleted,
  remaining,
})

const lastBatch = (batch: BatchPersisted): StatusJson["queues"]["public"]["last_batch"] => {
  const { _tag, queue: _queue, ...fields } = { ...batch }
  return fields
}

const queueStatus = (queue: Status.QueueStatus): StatusJson["queues"]["public"] => ({
  length: queue.length,
  oldest_age_ms: queue.oldestAgeMs,
  batches: queue.batches,
  persisted: queue.persisted,
  duplicates: queue.duplicates,
  quarantined: queue.quarantined,
  deleted: queue.deleted,
  quarantine: queue.quarantine,
  outages: queue.outages,
  reseeds: queue.reseeds,
  last_batch: queue.lastBatch === null ? null : lastBatch(queue.lastBatch),
  problem:
    queue.problem === null
      ? null
      : { reason: queue.problem.reason, attempts: queue.problem.attempts, since: queue.problem.since },
  books: queue.books,
})

export const statusReport = ({ settings, queues, ...report }: Status.StatusReport): StatusJson => ({
  status: report.status,
  problems: report.problems,
  instance_id: report.instanceId,
  version: report.version,
  started_at: report.startedAt,
  queues: { public: queueStatus(queues.public), private: queueStatus(queues.private) },
  settings: {
    message_limit: settings.message_limit,
    window_seconds: settings.window_seconds,
    max_cache_size: settings.maxCacheSize,
    flush_interval_ms: settings.flushIntervalMs,
    flush_batch_size: settings.flushBatchSize,
    max_queue_length: settings.maxQueueLength,
    shutdown_timeout_ms: settings.shutdownTimeoutMs,
  },
  journal_position: report.journalPosition,
})

const queueCount = (count: Audit.QueueCount): typeof AuditReport.Encoded.queues.public => ({
  rows: count.rows,
  rows_journalled: count.rowsJournalled,
  quarantine: count.quarantine,
  queued: count.queued,
})

const auditReport = (report: Audit.AuditReport): typeof AuditReport.Encoded => ({
  consistent: report.consistent,
  findings: report.findings,
  queues: { public: queueCount(report.queues.public), private: queueCount(report.queues.private) },
  journal_position: report.journalPosition,
  duration_ms: report.durationMs,
})

const decodeSettings = decodeWithProblems(RateLimitSettings)

const settingsOf = (body: unknown) =>
  Either.mapLeft(decodeSettings(body), (problems) => new InvalidRateLimitSettings({ problems }))

export const layer: Layer.Layer<ApiGroup<"chat-cache", "operation">, never, ChatCache> = HttpApiBuilder.group(
  Api,
  "operation",
  (handlers) =>
    Effect.map(ChatCache, (chatCache) =>
      handlers
        .handle("flush", () =>
          Effect.map(chatCache.flush, (reports) =>
            replyFlushed({ public: flushReport(reports.public), private: flushReport(reports.private) }),
          ),
        )
        .handle("rateLimit", () => Effect.map(chatCache.rateLimitSettings, replyRateLimit))
        .handleRaw("updateRateLimit", ({ request }) =>
          readJson(request, maximumBytes.single).pipe(
            Effect.flatMap(settingsOf),
            Effect.flatMap(({ message_limit, window_seconds }) =>
              chatCache.updateRateLimitSettings(message_limit, window_seconds),
            ),
            Effect.map(replyRateLimit),
          ),
        )
        .handle("status", () => Effect.map(chatCache.status, (report) => replyStatus(statusReport(report))))
        .handle("audit", () => Effect.map(chatCache.audit, (report) => replyAudit(auditReport(report)))),
    ),
)
