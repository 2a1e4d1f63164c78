/**
 * For applications that embed chat-cache; docs/embedding.md shows how.
 *
 * `ChatCache` is what they use. `ChatCacheLayer.layer` provides it, on `Settings`, `ValkeyServer` and `PostgresServer`;
 * `ChatCacheMemory.layer` provides it for tests, on `Settings` alone. Messages, errors and reports are plain values of
 * the types below.
 */
export {
  BooksOutOfBalance,
  CacheUnavailable,
  InvalidHistoryQuery,
  InvalidMessage,
  InvalidMessageId,
  InvalidRateLimitSettings,
  QuarantineEntryNotFound,
  QuarantineEntryResolved,
  QueueFull,
  RateLimited,
  ReplayRefused,
  SchemaSuspected,
  ShuttingDown,
  type StoreError,
  StoreMisconfigured,
  StoreUnavailable,
  UnsafeConfiguration,
} from "./domain/Errors.ts"
export {
  type EmbeddedServerError,
  ServerDirectoryInUse,
  ServerNotInstalled,
  ServerNotStarted,
} from "./domain/EmbeddedServerErrors.ts"
export {
  type BatchPersisted,
  type CounterReseeded,
  type DaemonStarted,
  type DaemonStopped,
  Event,
  type FlushFailed,
  type FlushRecovered,
  type FlushTrigger,
  type MessageDeleted,
  type MessageQuarantined,
  type MessagesImported,
  type QuarantineDiscarded,
  type QuarantineReason,
  type QuarantineReplayed,
  type RateLimitChanged,
  RecordedEvent,
} from "./domain/Event.ts"
export {
  Accepted,
  CachedPrivateMessage,
  CachedPublicMessage,
  maximumMessageBytes,
  PrivateMessageDraft,
  PublicMessageDraft,
  QueueName,
  queueNames,
} from "./domain/Message.ts"
export type { QueueBooks } from "./domain/Books.ts"
export type { HistoryPage, HistoryQuery } from "./domain/History.ts"
export type { QuarantineEntry, QuarantineStatus } from "./domain/Quarantine.ts"
export { RateLimitSettings } from "./domain/RateLimit.ts"
export type { QuarantineTotals } from "./domain/State.ts"
export type { Problem } from "./domain/Validation.ts"
export type { AuditError, AuditFinding, AuditReport, QueueCount } from "./services/Audit.ts"
export { ChatCache } from "./services/ChatCache.ts"
export type { DrainReport, FlushError, FlushProblem, FlushReport } from "./services/Flusher.ts"
export type { HistoryError } from "./services/History.ts"
export type { QuarantineFilter } from "./services/MessageStore.ts"
export { PostgresServer } from "./services/PostgresServer.ts"
export type { PublishError } from "./services/Publisher.ts"
export { Settings } from "./services/Settings.ts"
export type { Condition, QueueStatus, Readiness, StatusReport } from "./services/Status.ts"
export { ValkeyServer } from "./services/ValkeyServer.ts"
export * as ChatCacheLayer from "./layers/ChatCache.ts"
export * as ChatCacheMemory from "./layers/ChatCacheMemory.ts"
export * as ServersConfig from "./layers/ServersConfig.ts"
export * as ServersTemporary from "./layers/ServersTemporary.ts"
export * as SettingsConfig from "./layers/SettingsConfig.ts"
