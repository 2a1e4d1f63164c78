/** What a reader of the documentation is told of each operation, by group and name. Tests hold the examples to the API. */

export interface OperationText {
  readonly summary: string
  readonly description: string
  /** A body to send. */
  readonly request?: unknown
  /** What the operation answers with when it succeeds. Left out where the answer has no body. */
  readonly response?: unknown
}

const message_id = "0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11"
const authored_at = "2026-01-31T12:00:00.000Z"

const publicDraft = { owner_id: "1", username: "ada", channel: "general", message: "Hello" }
const privateDraft = { owner_id: "1", username: "ada", recipient_id: "2", recipient: "bob", message: "Hello" }
const accepted = { cache_id: 42, message_id, authored_at }
const results = {
  results: [
    { status: "accepted", ...accepted },
    { status: "rate_limited", retry_after_ms: 1500 },
  ],
}

const publishing = `Once it is answered with a \`cache_id\` the message cannot be lost, and is stored exactly once.
After \`CacheUnavailable\` with \`"execution": "unknown"\` it may have been taken: send it again with the same \`message_id\`.`

const inBatch = `Each message has a result of its own, in their order, and none depends on another's. At most 1000 messages.
The whole is answered with an error only where nothing of it was executed.`

const quarantineEntry = {
  id: 7,
  queue: "public",
  cache_id: 42,
  reason: "wrong_shape",
  sqlstate: null,
  error: "channel is missing",
  raw: '{"cache_id":42,"data":{"message":"Hello"}}',
  raw_encoding: "utf-8",
  status: "open",
  quarantined_at: authored_at,
  resolved_at: null,
}

const flushReport = { persisted: 120, duplicates: 0, quarantined: 0, deleted: 0, remaining: 0 }

const queueStatus = {
  length: 12,
  oldest_age_ms: 830,
  batches: 31,
  persisted: 5120,
  duplicates: 0,
  quarantined: 1,
  deleted: 0,
  quarantine: { open: 1, replayed: 0, discarded: 0 },
  outages: 0,
  reseeds: 0,
  last_batch: {
    trigger: "interval",
    first_cache_id: 5001,
    last_cache_id: 5120,
    persisted: 120,
    duplicates: 0,
    quarantined: 0,
    deleted: 0,
    duration_ms: 14.2,
  },
  problem: null,
  books: {
    accepted: 5133,
    stored: 5120,
    duplicates: 0,
    deleted: 0,
    quarantine: { open: 1, replayed: 0, discarded: 0 },
    foreign: 0,
    queued: 12,
    lost: 0,
    balanced: true,
    difference: null,
  },
}

const queueCount = {
  rows: 5120,
  rows_journalled: 5120,
  quarantine: { open: 1, replayed: 0, discarded: 0 },
  queued: 12,
}

const page = `Oldest first. \`previous\` is the \`before\` of the page of older messages, \`next\` the \`after\` of that of newer ones;
each is absent where there were none. A page may be shorter than \`limit\` and still have both. Nothing is left out or shown twice
on the way from the queue to the table. \`<cache_id>.<message_id>\` of any message is a cursor, too.`

export const operations: Readonly<Record<string, OperationText>> = {
  "publishing.publish": {
    summary: "Publish a public message",
    description: publishing,
    request: publicDraft,
    response: accepted,
  },
  "publishing.publishPrivate": {
    summary: "Publish a private message",
    description: `${publishing}\nOne to oneself is cached once.`,
    request: privateDraft,
    response: accepted,
  },
  "publishing.publishBatch": {
    summary: "Publish many public messages",
    description: inBatch,
    request: { messages: [publicDraft, publicDraft] },
    response: results,
  },
  "publishing.publishPrivateBatch": {
    summary: "Publish many private messages",
    description: inBatch,
    request: { messages: [privateDraft, privateDraft] },
    response: results,
  },
  "deletion.delete": {
    summary: "Delete a public message",
    description:
      "Gone from the cache, the queue and the table, for good: publishing the same `message_id` again stores nothing.",
  },
  "deletion.deletePrivate": {
    summary: "Delete a private message",
    description: "Gone from the caches, the queue and the table, for good.",
  },
  "recent.recent": {
    summary: "Read the newest public messages",
    description:
      "Oldest first, at most `limit` of those that are kept in the cache. With `channel`, those of the channel.",
    response: { messages: [{ ...publicDraft, ...accepted }] },
  },
  "recent.recentPrivate": {
    summary: "Read the newest private messages of a user",
    description: "What the user sent and received, oldest first.",
    response: { messages: [{ ...privateDraft, ...accepted }] },
  },
  "recent.clearPrivate": {
    summary: "Drop the cache of private messages of a user",
    description: "What is queued or stored stays. Answers with the number of caches dropped.",
    response: { deleted: 1 },
  },
  "recent.clearAllPrivate": {
    summary: "Drop the caches of private messages of all users",
    description: "What is queued or stored stays. Answers with the number of caches dropped.",
    response: { deleted: 250 },
  },
  "history.history": {
    summary: "Page through the public messages",
    description: `${page} With \`channel\`, those of the channel. The newest, unless \`before\` or \`after\` is given.`,
    response: { messages: [{ ...publicDraft, ...accepted }], previous: `42.${message_id}` },
  },
  "history.privateHistory": {
    summary: "Page through the private messages of a user",
    description: `What the user sent and received. ${page}`,
    response: { messages: [{ ...privateDraft, ...accepted }], previous: `42.${message_id}` },
  },
  "operation.flush": {
    summary: "Move both queues into PostgreSQL now",
    description: "Answers when both are done. What could not be moved stays queued and is tried again.",
    response: { public: flushReport, private: { ...flushReport, persisted: 3 } },
  },
  "operation.rateLimit": {
    summary: "Read the rate limit in force",
    description: "At most `message_limit` messages of one user within `window_seconds`.",
    response: { message_limit: 10, window_seconds: 60 },
  },
  "operation.updateRateLimit": {
    summary: "Change the rate limit",
    description: "In force for every process from the next message on, also after restarts.",
    request: { message_limit: 20, window_seconds: 60 },
    response: { message_limit: 20, window_seconds: 60 },
  },
  "operation.status": {
    summary: "Ask how chat-cache does",
    description: "Answers even when Valkey or PostgreSQL hangs. `problems` says what needs attention.",
    response: {
      status: "ok",
      problems: [],
      instance_id: message_id,
      version: "0.1.0",
      started_at: authored_at,
      queues: { public: queueStatus, private: { ...queueStatus, length: null, oldest_age_ms: null } },
      settings: {
        message_limit: 10,
        window_seconds: 60,
        max_cache_size: 500,
        flush_interval_ms: 120_000,
        flush_batch_size: 2000,
        max_queue_length: 1_000_000,
        shutdown_timeout_ms: 25_000,
      },
      journal_position: 32,
    },
  },
  "operation.audit": {
    summary: "Recount the books from the servers",
    description: `Compares the journal with the tables, the quarantine, the queues and the caches, and names what does not add up.
Reads much: one at a time, a minute at most.`,
    response: {
      consistent: true,
      findings: [],
      queues: { public: queueCount, private: queueCount },
      journal_position: 32,
      duration_ms: 84.1,
    },
  },
  "quarantine.list": {
    summary: "List quarantined messages",
    description:
      "By ascending id; the id of the last one is the `after` of the next page. 100 unless `limit` says otherwise.",
    response: { entries: [quarantineEntry] },
  },
  "quarantine.show": {
    summary: "Show a quarantined message",
    description: "With its bytes as they were found, as text or in base64.",
    response: quarantineEntry,
  },
  "quarantine.replay": {
    summary: "Store a quarantined message after all",
    description: "As it was, or as the body corrects it. Without a body it is stored as it was.",
    request: publicDraft,
    response: { ...quarantineEntry, status: "replayed", resolved_at: authored_at },
  },
  "quarantine.discard": {
    summary: "Give a quarantined message up",
    description: "The entry stays, as discarded.",
  },
  "journal.journal": {
    summary: "Read what has happened",
    description: "In order, from the position after `after` on, in pages of at most `limit`.",
    response: {
      events: [
        { position: 32, recorded_at: authored_at, event: { _tag: "FlushRecovered", queue: "public" } },
      ],
    },
  },
  "events.events": {
    summary: "Follow what happens",
    description: `Server-sent events from the journal: \`id\` is the position, \`event\` the type and \`data\` a \`RecordedEvent\` as JSON.
Begins after \`after\`, or after \`Last-Event-ID\`, which clients send when they connect again, and goes on until the client leaves
or the daemon stops. Waits while PostgreSQL is away. A comment every 15 seconds shows that the stream is alive; who does not read
for 30 seconds is cut. An event \`StoreMisconfigured\`, with the error as its data, tells that the journal cannot be read.`,
    response: `id: 32
event: FlushRecovered
data: {"position":32,"recorded_at":"${authored_at}","event":{"_tag":"FlushRecovered","queue":"public"}}

`,
  },
  "metrics.metrics": {
    summary: "Read the metrics",
    description: "In the text format of Prometheus.",
    response: "# HELP chat_cache_queue_messages Messages that PostgreSQL does not have yet\n",
  },
  "health.live": {
    summary: "Ask whether the process lives",
    description: "Needs no token.",
    response: { status: "ok" },
  },
  "health.ready": {
    summary: "Ask whether messages can be taken",
    description:
      "`degraded` while PostgreSQL is away: messages are taken all the same. 503 when they cannot be. Needs no token.",
    response: { status: "ok", problems: [] },
  },
}

export const groups: Readonly<Record<string, string>> = {
  publishing: "Handing messages over.",
  deletion: "Taking a message back.",
  recent: "Reading what was said lately.",
  history: "Reading everything that was said, page by page.",
  operation: "Running chat-cache.",
  quarantine: "Messages that could not be stored, each with its reason and its bytes.",
  journal: "What has happened, in the order in which it did.",
  events: "What happens, as it does.",
  metrics: "For Prometheus.",
  health: "For load balancers and supervisors.",
}
