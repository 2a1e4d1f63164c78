import { Context, type Effect, type Either, type Stream } from "effect"
import type {
  CacheUnavailable,
  InvalidMessageId,
  InvalidRateLimitSettings,
  ShuttingDown,
  StoreError,
  StoreMisconfigured,
} from "../domain/Errors.ts"
import type { RecordedEvent } from "../domain/Event.ts"
import type { HistoryPage, HistoryQuery } from "../domain/History.ts"
import type {
  Accepted,
  CachedPrivateMessage,
  CachedPublicMessage,
  PrivateMessageDraft,
  PublicMessageDraft,
  QueueName,
} from "../domain/Message.ts"
import type { RateLimitSettings } from "../domain/RateLimit.ts"
import type { AuditError, AuditReport } from "./Audit.ts"
import type { DrainReport, FlushError, FlushReport } from "./Flusher.ts"
import type { HistoryError } from "./History.ts"
import type { PublishError } from "./Publisher.ts"
import type { Quarantine } from "./Quarantine.ts"
import type { Readiness, StatusReport } from "./Status.ts"

/**
 * Everything that chat-cache does, for applications and for its own doors. What needs Valkey alone ends within 12 seconds
 * once it no longer answers.
 */
export class ChatCache extends Context.Tag("chat-cache/ChatCache")<
  ChatCache,
  {
    /** Takes a public message. Once it is accepted it cannot be lost, and ends in PostgreSQL exactly once. */
    readonly publish: (draft: PublicMessageDraft) => Effect.Effect<Accepted, PublishError>

    /** Takes a private message. One to oneself is cached once. */
    readonly publishPrivate: (draft: PrivateMessageDraft) => Effect.Effect<Accepted, PublishError>

    /** Takes many public messages. Each has its own outcome, in order; none depends on another's. */
    readonly publishAll: (
      drafts: ReadonlyArray<unknown>,
    ) => Effect.Effect<ReadonlyArray<Either.Either<Accepted, PublishError>>>

    /** The same for private messages. */
    readonly publishAllPrivate: (
      drafts: ReadonlyArray<unknown>,
    ) => Effect.Effect<ReadonlyArray<Either.Either<Accepted, PublishError>>>

    /**
     * The newest public messages, oldest first, at most `limit` of the `maxCacheSize` that are kept; or those of one
     * channel, of which as many are kept, however busy other channels are.
     */
    readonly recent: (
      limit?: number,
      channel?: string,
    ) => Effect.Effect<ReadonlyArray<CachedPublicMessage>, CacheUnavailable>

    /** The newest private messages that the user sent or received, oldest first. */
    readonly recentPrivate: (
      userId: string,
      limit?: number,
    ) => Effect.Effect<ReadonlyArray<CachedPrivateMessage>, CacheUnavailable>

    /**
     * A page of all public messages, or of one channel's: the newest ones, or those before or after a cursor, oldest
     * first. `History` says what is guaranteed. Ends within 15 seconds once a server no longer answers.
     */
    readonly history: (
      query?: HistoryQuery & { readonly channel?: string | undefined },
    ) => Effect.Effect<HistoryPage<CachedPublicMessage>, HistoryError>

    /** The same of the private messages that the user sent or received. Ends within 15 seconds as well. */
    readonly privateHistory: (
      userId: string,
      query?: HistoryQuery,
    ) => Effect.Effect<HistoryPage<CachedPrivateMessage>, HistoryError>

    /**
     * Drops the private cache of one user, or of all without one. Queued and stored messages stay.
     * Returns the number of caches dropped.
     */
    readonly clearPrivate: (userId?: string) => Effect.Effect<number, CacheUnavailable>

    /**
     * Deletes a public message for good: from the recent list, the queue and the table, and also if it only arrives
     * later. Deleting again what is deleted, or what nobody has seen, is fine. With `CacheUnavailable` it may be seen in
     * the recent list until it is repeated. Ends within 30 seconds once a server no longer answers.
     */
    readonly delete: (
      messageId: string,
    ) => Effect.Effect<void, InvalidMessageId | CacheUnavailable | StoreError>

    /** The same for a private message, which disappears for both of its users. Ends within 30 seconds as well. */
    readonly deletePrivate: (
      messageId: string,
    ) => Effect.Effect<void, InvalidMessageId | CacheUnavailable | StoreError>

    /**
     * Moves both queues into PostgreSQL now. Fails when one of them did not get to its end; the rest stays queued.
     * Ends within 75 seconds once a server no longer answers.
     */
    readonly flush: Effect.Effect<Readonly<Record<QueueName, FlushReport>>, FlushError | ShuttingDown>

    /** The limit in force, from Valkey where it was changed, from the settings otherwise. */
    readonly rateLimitSettings: Effect.Effect<RateLimitSettings, CacheUnavailable>

    /**
     * Takes effect for every process from the next message on, and survives restarts. Ends within 30 seconds once a
     * server no longer answers.
     */
    readonly updateRateLimitSettings: (
      messageLimit: number,
      windowSeconds: number,
    ) => Effect.Effect<RateLimitSettings, InvalidRateLimitSettings | CacheUnavailable | StoreError>

    /** Messages that could not be stored: to be looked at, replayed or discarded. */
    readonly quarantine: Quarantine["Type"]

    /** Whether the flush actors go on. False means a fault of chat-cache that only a restart ends. Never waits. */
    readonly isAlive: Effect.Effect<boolean>

    /** Lengths of the queues, totals, problems. Answers within 8 seconds, whatever hangs. */
    readonly status: Effect.Effect<StatusReport>
    /** Whether messages can be taken, and what needs attention. Answers within 4 seconds, whatever hangs. */
    readonly readiness: Effect.Effect<Readiness>

    /**
     * Recounts the books from what the servers hold. Reads everything: for operators, not for every minute. Ends within
     * 60 seconds, with `StoreUnavailable` where that was too short.
     */
    readonly audit: Effect.Effect<AuditReport, AuditError>

    /**
     * The journal from a position on, in order, ending with what is recorded now. Fails within 15 seconds once PostgreSQL
     * no longer answers.
     */
    readonly events: (after?: number) => Stream.Stream<RecordedEvent, StoreError>

    /**
     * The journal from a position on, in order, and then every event soon after it is recorded, by any process. Waits
     * while PostgreSQL is away, for as long as that takes. It ends with the shutdown, and within 2 seconds when it is
     * interrupted.
     */
    readonly followEvents: (after?: number) => Stream.Stream<RecordedEvent, StoreMisconfigured>

    /**
     * Takes no more messages, finishes those under way and drains both queues, before the shutdown deadline: within
     * 25 seconds, unless configured otherwise. Closing the layer does the same. Repeating it returns the same reports.
     */
    readonly shutdown: Effect.Effect<Readonly<Record<QueueName, DrainReport>>>
  }
>() {}
