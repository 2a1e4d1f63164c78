/** The routes: what goes in, what comes out, and every error with its status. */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import { Schema } from "effect"
import { QuarantineReason, RecordedEvent } from "../domain/Event.ts"
import {
  Accepted,
  CachedPrivateMessage,
  CachedPublicMessage,
  PrivateMessageDraft,
  PublicMessageDraft,
  QueueName,
} from "../domain/Message.ts"
import { QuarantineStatus } from "../domain/Quarantine.ts"
import { errorAnswers as error } from "./ErrorAnswers.ts"
import { BodyErrors, StoreErrors } from "./ErrorGroups.ts"
import { events } from "./EventsApi.ts"
import { history } from "./HistoryApi.ts"
import { operation, Problems } from "./OperationApi.ts"
import {
  ChannelParameter,
  IntegerParameter,
  QuarantineStatusParameter,
  Query,
  QueueParameter,
  UserIdParameter,
} from "./Parameters.ts"

/** The most messages of one batch. */
export const maximumBatch = 1000

const PublishErrors = Schema.Union(
  ...BodyErrors.members,
  error.InvalidMessage,
  error.RateLimited,
  error.QueueFull,
  error.CacheUnavailable,
  error.ShuttingDown,
)

const BatchErrors = Schema.Union(...BodyErrors.members, error.CacheUnavailable, error.ShuttingDown)

export const Published = Accepted.annotations(HttpApiSchema.annotations({ status: 202 }))

/** What became of one message of a batch. `unknown`: it may have been taken; send it again with the same `message_id`. */
export const BatchResult = Schema.Union(
  Schema.Struct({ status: Schema.Literal("accepted"), ...Accepted.fields }),
  Schema.Struct({ status: Schema.Literal("rate_limited"), retry_after_ms: Schema.Number }),
  Schema.Struct({ status: Schema.Literal("invalid"), error: error.InvalidMessage }),
  Schema.Struct({ status: Schema.Literal("queue_full"), error: error.QueueFull }),
  Schema.Struct({
    status: Schema.Literal("refused"),
    error: Schema.Union(error.CacheUnavailable, error.ShuttingDown),
  }),
  Schema.Struct({ status: Schema.Literal("unknown"), error: error.CacheUnavailable }),
)

/** One result per message, in their order. */
export const BatchResults = Schema.Struct({ results: Schema.Array(BatchResult) })

const batchOf = <A, I>(draft: Schema.Schema<A, I>) =>
  Schema.Struct({ messages: Schema.Array(draft).pipe(Schema.maxItems(maximumBatch)) })

const publishing = HttpApiGroup.make("publishing")
  .add(
    HttpApiEndpoint.post("publish", "/messages")
      .setPayload(PublicMessageDraft)
      .addSuccess(Published)
      .addError(PublishErrors),
  )
  .add(
    HttpApiEndpoint.post("publishPrivate", "/private-messages")
      .setPayload(PrivateMessageDraft)
      .addSuccess(Published)
      .addError(PublishErrors),
  )
  .add(
    HttpApiEndpoint.post("publishBatch", "/messages/batch")
      .setPayload(batchOf(PublicMessageDraft))
      .addSuccess(BatchResults)
      .addError(BatchErrors),
  )
  .add(
    HttpApiEndpoint.post("publishPrivateBatch", "/private-messages/batch")
      .setPayload(batchOf(PrivateMessageDraft))
      .addSuccess(BatchResults)
      .addError(BatchErrors),
  )

const RecentParameters = Query({ limit: IntegerParameter(1) })
const RecentPublicParameters = Query({ limit: IntegerParameter(1), channel: ChannelParameter })
const UserPath = Schema.Struct({ user_id: UserIdParameter })

/** Oldest first. */
export const RecentPublic = Schema.Struct({ messages: Schema.Array(CachedPublicMessage) })
export const RecentPrivate = Schema.Struct({ messages: Schema.Array(CachedPrivateMessage) })

/** The number of caches dropped. Queued and stored messages stay. */
export const Deleted = Schema.Struct({ deleted: Schema.Number })

/** Any text, so that the one answer to what is no id comes from the one place that knows. */
const MessagePath = Schema.Struct({ message_id: Schema.String })
const DeletionErrors = Schema.Union(...StoreErrors.members, error.InvalidMessageId, error.CacheUnavailable)

const deletion = HttpApiGroup.make("deletion")
  .add(
    HttpApiEndpoint.del("delete", "/messages/:message_id")
      .setPath(MessagePath)
      .addSuccess(HttpApiSchema.NoContent)
      .addError(DeletionErrors),
  )
  .add(
    HttpApiEndpoint.del("deletePrivate", "/private-messages/:message_id")
      .setPath(MessagePath)
      .addSuccess(HttpApiSchema.NoContent)
      .addError(DeletionErrors),
  )

const recent = HttpApiGroup.make("recent")
  .add(
    HttpApiEndpoint.get("recent", "/messages/recent")
      .setUrlParams(RecentPublicParameters)
      .addSuccess(RecentPublic)
      .addError(error.CacheUnavailable),
  )
  .add(
    HttpApiEndpoint.get("recentPrivate", "/private-messages/recent/:user_id")
      .setPath(UserPath)
      .setUrlParams(RecentParameters)
      .addSuccess(RecentPrivate)
      .addError(error.CacheUnavailable),
  )
  .add(
    HttpApiEndpoint.del("clearPrivate", "/private-messages/recent/:user_id")
      .setPath(UserPath)
      .addSuccess(Deleted)
      .addError(error.CacheUnavailable),
  )
  .add(
    HttpApiEndpoint.del("clearAllPrivate", "/private-messages/recent")
      .addSuccess(Deleted)
      .addError(error.CacheUnavailable),
  )

export const QuarantineEntry = Schema.Struct({
  id: Schema.Number,
  queue: QueueName,
  cache_id: Schema.NullOr(Schema.Number),
  reason: QuarantineReason,
  sqlstate: Schema.NullOr(Schema.String),
  error: Schema.String,
  /** The bytes as they were found: as text where they are UTF-8, otherwise in base64. */
  raw: Schema.String,
  raw_encoding: Schema.Literal("utf-8", "base64"),
  status: QuarantineStatus,
  quarantined_at: Schema.String,
  resolved_at: Schema.NullOr(Schema.String),
}).annotations({ identifier: "QuarantineEntry" })

/** By ascending id. The id of the last one is the `after` of the next page. */
export const QuarantineEntries = Schema.Struct({ entries: Schema.Array(QuarantineEntry) })

/** No body at all: the message is replayed as it was. */
const NoCorrection = Schema.Undefined.annotations({ jsonSchema: { type: "null" } })

const QuarantinePath = Schema.Struct({ id: IntegerParameter(1) })

const quarantine = HttpApiGroup.make("quarantine")
  .add(
    HttpApiEndpoint.get("list", "/quarantine")
      .setUrlParams(
        Query({
          queue: QueueParameter,
          status: QuarantineStatusParameter,
          limit: IntegerParameter(1, 1000),
          after: IntegerParameter(0),
        }),
      )
      .addSuccess(QuarantineEntries)
      .addError(StoreErrors),
  )
  .add(
    HttpApiEndpoint.get("show", "/quarantine/:id")
      .setPath(QuarantinePath)
      .addSuccess(QuarantineEntry)
      .addError(Schema.Union(...StoreErrors.members, error.QuarantineEntryNotFound)),
  )
  .add(
    HttpApiEndpoint.post("replay", "/quarantine/:id/replay")
      .setPath(QuarantinePath)
      .setPayload(Schema.Union(PublicMessageDraft, PrivateMessageDraft, NoCorrection))
      .addSuccess(QuarantineEntry)
      .addError(
        Schema.Union(
          ...BodyErrors.members,
          ...StoreErrors.members,
          error.ReplayRefused,
          error.QuarantineEntryNotFound,
          error.QuarantineEntryResolved,
          error.CacheUnavailable,
        ),
      ),
  )
  .add(
    HttpApiEndpoint.del("discard", "/quarantine/:id")
      .setPath(QuarantinePath)
      .addSuccess(HttpApiSchema.NoContent)
      .addError(
        Schema.Union(...StoreErrors.members, error.QuarantineEntryNotFound, error.QuarantineEntryResolved),
      ),
  )

/** In their order. The position of the last one is the `after` of the next page; an empty page is the present end. */
export const Journal = Schema.Struct({ events: Schema.Array(RecordedEvent) })

const journal = HttpApiGroup.make("journal").add(
  HttpApiEndpoint.get("journal", "/journal")
    .setUrlParams(Query({ after: IntegerParameter(0), limit: IntegerParameter(1, 1000) }))
    .addSuccess(Journal)
    .addError(StoreErrors),
)

export const Live = Schema.Struct({ status: Schema.Literal("ok") })

export const Ready = Schema.Struct({ status: Schema.Literal("ok", "degraded"), problems: Problems })

export const NotReady = Schema.Struct({
  status: Schema.Literal("unavailable"),
  problems: Problems,
}).annotations(HttpApiSchema.annotations({ status: 503 }))

const health = HttpApiGroup.make("health")
  .add(HttpApiEndpoint.get("live", "/health/live").addSuccess(Live))
  .add(HttpApiEndpoint.get("ready", "/health/ready").addSuccess(Ready).addSuccess(NotReady))

/** In the text format of Prometheus. */
export const MetricsText = HttpApiSchema.Text({ contentType: "text/plain" })

const metrics = HttpApiGroup.make("metrics").add(
  HttpApiEndpoint.get("metrics", "/metrics").addSuccess(MetricsText),
)

export class Api extends HttpApi.make("chat-cache")
  .add(publishing)
  .add(recent)
  .add(deletion)
  .add(history)
  .add(operation)
  .add(quarantine)
  .add(journal)
  .add(events)
  .add(health)
  .add(metrics)
  .addError(error.InvalidRequest)
  .addError(error.Unauthorized)
  .addError(error.CrossSiteRequest)
  .addError(error.MisdirectedRequest)
  .addError(error.InternalError) {}
