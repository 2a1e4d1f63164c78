/**
 * For applications that embed chat-cache. `ChatCacheLayer.layer` needs `Settings`, `ValkeyServer` and
 * `PostgresServer`; `ChatCacheMemory.layer` needs `Settings` alone and keeps everything in memory, for tests.
 */
export * from "./domain/Errors.ts"
export * from "./domain/Event.ts"
export * from "./domain/Message.ts"
export type { QueueBooks } from "./domain/Books.ts"
export { RateLimitSettings } from "./domain/RateLimit.ts"
export type { QuarantineEntry, QuarantineStatus } from "./domain/Quarantine.ts"
export type { AuditError, AuditFinding, AuditReport, QueueCount } from "./services/Audit.ts"
export { ChatCache } from "./services/ChatCache.ts"
export type { DrainReport, FlushError, FlushProblem, FlushReport } from "./services/Flusher.ts"
export type { QuarantineFilter } from "./services/MessageStore.ts"
export { PostgresServer } from "./services/PostgresServer.ts"
export type { PublishError } from "./services/Publisher.ts"
export { Settings } from "./services/Settings.ts"
export type { Condition, QueueStatus, Readiness, StatusReport } from "./services/Status.ts"
export { ValkeyServer } from "./services/ValkeyServer.ts"
export * as ChatCacheLayer from "./layers/ChatCache.ts"
export * as ChatCacheMemory from "./layers/ChatCacheMemory.ts"
export * as ServersConfig from "./layers/ServersConfig.ts"
export * as SettingsConfig from "./layers/SettingsConfig.ts"
