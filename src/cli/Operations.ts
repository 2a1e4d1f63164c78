import { Context, type ConfigError, type Effect, type Stream } from "effect"
import type { ServerNotRunning, ServerNotStarted } from "../domain/EmbeddedServerErrors.ts"
import type { UnsafeConfiguration } from "../domain/Errors.ts"
import type { RecordedEvent } from "../domain/Event.ts"
import type { HistoryPage, HistoryQuery } from "../domain/History.ts"
import type { Accepted, CachedMessage, QueueName } from "../domain/Message.ts"
import type { RateLimitSettings } from "../domain/RateLimit.ts"
import type { QuarantineEntry } from "../http/Api.ts"
import type { Flushed, StatusReport } from "../http/OperationApi.ts"
import type { ErrorAnswer } from "../http/ErrorAnswers.ts"
import type { QuarantineFilter } from "../services/MessageStore.ts"
import type { DaemonUnreachable, UnexpectedAnswer } from "./Errors.ts"

/** Why an operation was not done, the same errors over HTTP and on the servers themselves. */
export type OperationError = ErrorAnswer | DaemonUnreachable | UnexpectedAnswer | UnsafeConfiguration

/** Why there is nobody to ask. */
export type ConnectionError = ConfigError.ConfigError | ServerNotRunning | ServerNotStarted

/** `null` where the servers were asked without a daemon. */
export type Status = Omit<typeof StatusReport.Encoded, "instance_id" | "started_at"> & {
  readonly instance_id: string | null
  readonly started_at: string | null
}

export type QuarantineEntry = typeof QuarantineEntry.Type
export type Flushed = typeof Flushed.Type

/** What the commands do, on the servers themselves or by way of a daemon. Results are those of the HTTP routes. */
export class Operations extends Context.Tag("chat-cache/cli/Operations")<
  Operations,
  {
    /** @param draft is validated as a message of this queue */
    readonly publish: (queue: QueueName, draft: unknown) => Effect.Effect<Accepted, OperationError>

    /** The newest public messages, of one channel or of all, or the newest private ones of a user. Oldest first. */
    readonly recent: (options: {
      readonly user?: string | undefined
      readonly channel?: string | undefined
      readonly limit?: number | undefined
    }) => Effect.Effect<ReadonlyArray<CachedMessage>, OperationError>

    /** A page of all public messages, of those of one channel, or of the private ones of a user. Oldest first. */
    readonly history: (
      options: HistoryQuery & { readonly user?: string | undefined; readonly channel?: string | undefined },
    ) => Effect.Effect<HistoryPage<CachedMessage>, OperationError>

    /** Drops the private cache of one user, or of all. Returns how many there were. */
    readonly clearPrivate: (user?: string) => Effect.Effect<number, OperationError>

    /** Deletes a message for good, from caches, queue and table. */
    readonly delete: (queue: QueueName, messageId: string) => Effect.Effect<void, OperationError>

    readonly flush: Effect.Effect<Flushed, OperationError>
    readonly status: Effect.Effect<Status, OperationError>
    readonly rateLimit: Effect.Effect<RateLimitSettings, OperationError>
    readonly updateRateLimit: (
      settings: RateLimitSettings,
    ) => Effect.Effect<RateLimitSettings, OperationError>

    readonly quarantine: {
      readonly list: (
        filter: QuarantineFilter,
      ) => Effect.Effect<ReadonlyArray<QuarantineEntry>, OperationError>
      readonly show: (id: number) => Effect.Effect<QuarantineEntry, OperationError>
      readonly replay: (id: number, corrected?: unknown) => Effect.Effect<QuarantineEntry, OperationError>
      readonly discard: (id: number) => Effect.Effect<void, OperationError>
    }

    /** The journal from a position on, ending with what is recorded now. */
    readonly events: (after: number) => Stream.Stream<RecordedEvent, OperationError>
  }
>() {}
