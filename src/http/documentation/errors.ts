/** An example of every error that can be answered, with the words that a client gets. */
import * as Domain from "../../domain/Errors.ts"
import type { ErrorAnswer } from "../ErrorAnswers.ts"
import * as Http from "../Errors.ts"

const problems = [{ field: "channel", problem: "must not be empty" }]
const store = { operation: "Flusher.flush", reason: "connect ECONNREFUSED 127.0.0.1:5432" }

export const errorExamples: {
  readonly [Tag in ErrorAnswer["_tag"]]: Extract<ErrorAnswer, { readonly _tag: Tag }>
} = {
  InvalidMessage: new Domain.InvalidMessage({ problems }),
  InvalidMessageId: new Domain.InvalidMessageId({
    problems: [
      { field: "message_id", problem: "must be a UUID such as 0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11" },
    ],
  }),
  InvalidHistoryQuery: new Domain.InvalidHistoryQuery({
    problems: [{ field: "after", problem: "must not be given together with before" }],
  }),
  InvalidRateLimitSettings: new Domain.InvalidRateLimitSettings({
    problems: [{ field: "message_limit", problem: "must be an integer from 1 to 1000000000" }],
  }),
  ReplayRefused: new Domain.ReplayRefused({ id: 7, problems }),
  QuarantineEntryNotFound: new Domain.QuarantineEntryNotFound({ id: 7 }),
  QuarantineEntryResolved: new Domain.QuarantineEntryResolved({ id: 7, status: "replayed" }),
  RateLimited: new Domain.RateLimited({ retry_after_ms: 1500 }),
  QueueFull: new Domain.QueueFull({ queue: "public", maximum: 1_000_000 }),
  CacheUnavailable: new Domain.CacheUnavailable({
    operation: "publish",
    execution: "unknown",
    reason: "no reply came in time",
    message_id: "0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11",
  }),
  ShuttingDown: new Domain.ShuttingDown(),
  StoreUnavailable: new Domain.StoreUnavailable({ ...store, sqlstate: null }),
  StoreMisconfigured: new Domain.StoreMisconfigured({
    operation: "Flusher.flush",
    reason: 'relation "chat_messages" does not exist',
    sqlstate: "42P01",
  }),
  SchemaSuspected: new Domain.SchemaSuspected({ queue: "public", rows: 20, sqlstate: "23514" }),
  BooksOutOfBalance: new Domain.BooksOutOfBalance({ queue: "public", entries: 20, accounted: 19 }),
  InvalidJson: new Http.InvalidJson({ reason: "malformed" }),
  InvalidRequest: new Http.InvalidRequest({
    problems: [{ field: "limit", problem: "must be one integer, 1 or greater" }],
  }),
  Unauthorized: new Http.Unauthorized(),
  CrossSiteRequest: new Http.CrossSiteRequest(),
  RouteNotFound: new Http.RouteNotFound(),
  MethodNotAllowed: new Http.MethodNotAllowed({ allowed: ["GET", "PUT"] }),
  PayloadTooLarge: new Http.PayloadTooLarge({ maximum_bytes: 1_048_576 }),
  UnsupportedMediaType: new Http.UnsupportedMediaType(),
  MisdirectedRequest: new Http.MisdirectedRequest(),
  TooManyUploads: new Http.TooManyUploads(),
  TooManyListeners: new Http.TooManyListeners({ maximum: 100 }),
  InternalError: new Http.InternalError(),
}
