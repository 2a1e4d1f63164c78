/**
 * Everything that is counted, under stable names with the unit in them. No label holds what people choose, such as a user
 * or a channel: the number of series does not depend on what is sent.
 */
import { Metric, MetricBoundaries } from "effect"
import { type QueueName, queueNames } from "../domain/Message.ts"
import type { FlushError } from "../services/Flusher.ts"
import type { PublishError } from "../services/Publisher.ts"

/** One series for each value of a label. */
const labelled = <Label extends string, Type, In, Out>(
  metric: Metric.Metric<Type, In, Out>,
  label: string,
  values: ReadonlyArray<Label>,
): Readonly<Record<Label, Metric.Metric<Type, In, Out>>> =>
  Object.fromEntries(values.map((value) => [value, Metric.tagged(metric, label, value)])) as Record<
    Label,
    Metric.Metric<Type, In, Out>
  >

const perQueue = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>) =>
  labelled(metric, "queue", queueNames)

const counter = (name: string, description: string) =>
  Metric.counter(name, { description, incremental: true })

/** From a tenth of a millisecond to half a minute. */
const seconds = MetricBoundaries.fromIterable([
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
])

const sizes = MetricBoundaries.fromIterable([1, 2, 5, 10, 20, 50, 100, 128, 200, 500, 1000, 2000, 5000])

export const published = perQueue(
  counter("chat_cache_published_messages_total", "Messages that were taken and will be stored"),
)

const refusals: ReadonlyArray<PublishError["_tag"]> = [
  "InvalidMessage",
  "RateLimited",
  "QueueFull",
  "CacheUnavailable",
  "ShuttingDown",
]

/** By the tag of the error. */
export const refused = ((metric) =>
  Object.fromEntries(
    queueNames.map((queue) => [queue, labelled(Metric.tagged(metric, "queue", queue), "reason", refusals)]),
  ) as Readonly<Record<QueueName, Readonly<Record<PublishError["_tag"], typeof metric>>>>)(
  counter("chat_cache_refused_messages_total", "Messages that were not, or not certainly, taken, by reason"),
)

export const publishSeconds = perQueue(
  Metric.histogram(
    "chat_cache_publish_seconds",
    seconds,
    "From the call to the outcome, of the message of each batch that waited longest",
  ),
)

export const publishBatchMessages = perQueue(
  Metric.histogram("chat_cache_publish_batch_messages", sizes, "Messages that went to Valkey in one call"),
)

/** By the name of the script's file. */
export const scriptSeconds = Metric.histogram(
  "chat_cache_script_seconds",
  seconds,
  "From the call of a script in Valkey to its reply; its count is the number of calls",
)

export const queueMessages = perQueue(
  Metric.gauge("chat_cache_queue_messages", { description: "Messages that PostgreSQL does not have yet" }),
)

export const oldestQueuedMessageAgeSeconds = perQueue(
  Metric.gauge("chat_cache_oldest_queued_message_age_seconds", {
    description: "Age of the message at the head of the queue, 0 when it is empty",
  }),
)

export const flushSeconds = perQueue(
  Metric.histogram("chat_cache_flush_seconds", seconds, "Time for one batch, from reading to acknowledging"),
)

export const flushBatchMessages = perQueue(
  Metric.histogram("chat_cache_flush_batch_messages", sizes, "Entries that left the queue in one batch"),
)

export const persisted = perQueue(
  counter("chat_cache_persisted_messages_total", "Messages that became rows of PostgreSQL"),
)

export const duplicates = perQueue(
  counter("chat_cache_duplicate_messages_total", "Queued messages that were rows already"),
)

export const quarantined = perQueue(
  counter("chat_cache_quarantined_messages_total", "Queued entries that could not become rows"),
)

export const deleted = perQueue(
  counter(
    "chat_cache_deleted_messages_total",
    "Queued messages that had been deleted, and did not become rows",
  ),
)

const flushErrors: ReadonlyArray<FlushError["_tag"]> = [
  "StoreUnavailable",
  "StoreMisconfigured",
  "CacheUnavailable",
  "SchemaSuspected",
  "BooksOutOfBalance",
]

/** By the tag of the error. */
export const flushFailures = ((metric) =>
  Object.fromEntries(
    queueNames.map((queue) => [
      queue,
      labelled(Metric.tagged(metric, "queue", queue), "reason", flushErrors),
    ]),
  ) as Readonly<Record<QueueName, Readonly<Record<FlushError["_tag"], typeof metric>>>>)(
  counter("chat_cache_flush_failures_total", "Attempts to flush that failed and are tried again, by reason"),
)

export const openQuarantineEntries = perQueue(
  Metric.gauge("chat_cache_open_quarantine_entries", {
    description: "Quarantined messages that wait for somebody to replay or discard them",
  }),
)

const recentCaches = ["public", "private", "channel"] as const

const recentReads = counter("chat_cache_recent_reads_total", "Readings of recent caches, by what they found")

/** A hit found messages in Valkey. */
export const recentHits = labelled(Metric.tagged(recentReads, "result", "hit"), "cache", recentCaches)

/** A miss found none there. */
export const recentMisses = labelled(Metric.tagged(recentReads, "result", "miss"), "cache", recentCaches)

/** Entries of recent caches that are not messages and were passed over. */
export const undecodableRecentEntries = counter(
  "chat_cache_undecodable_recent_entries_total",
  "Entries of recent caches that are not messages and were passed over when read",
)

/** Of Valkey: whether there is a connection. Of PostgreSQL: whether the last operation went well. */
export const up = labelled(
  Metric.gauge("chat_cache_server_up", { description: "1 while the server does what it is asked for" }),
  "server",
  ["valkey", "postgresql"],
)
