import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import { Schema } from "effect"
import * as Domain from "../domain/Errors.ts"
import * as Http from "./Errors.ts"

/** An error as it is answered: its tag, a sentence that says what to do, and what a program needs to know of it. */
const answer = <const Tag extends string, Fields extends Schema.Struct.Fields>(
  error: { readonly _tag: Tag; readonly fields: Fields },
  status: number,
) =>
  Schema.Struct({ ...error.fields, message: Schema.String }).annotations(
    HttpApiSchema.annotations({ identifier: error._tag, status }),
  )

/** Every error that can be answered, with its status. */
export const errorAnswers = {
  InvalidMessage: answer(Domain.InvalidMessage, 400),
  InvalidMessageId: answer(Domain.InvalidMessageId, 400),
  InvalidHistoryQuery: answer(Domain.InvalidHistoryQuery, 400),
  InvalidRateLimitSettings: answer(Domain.InvalidRateLimitSettings, 400),
  ReplayRefused: answer(Domain.ReplayRefused, 400),
  QuarantineEntryNotFound: answer(Domain.QuarantineEntryNotFound, 404),
  QuarantineEntryResolved: answer(Domain.QuarantineEntryResolved, 409),
  RateLimited: answer(Domain.RateLimited, 429),
  QueueFull: answer(Domain.QueueFull, 503),
  CacheUnavailable: answer(Domain.CacheUnavailable, 503),
  ShuttingDown: answer(Domain.ShuttingDown, 503),
  StoreUnavailable: answer(Domain.StoreUnavailable, 503),
  StoreMisconfigured: answer(Domain.StoreMisconfigured, 503),
  SchemaSuspected: answer(Domain.SchemaSuspected, 503),
  BooksOutOfBalance: answer(Domain.BooksOutOfBalance, 500),

  InvalidJson: answer(Http.InvalidJson, 400),
  InvalidRequest: answer(Http.InvalidRequest, 400),
  Unauthorized: answer(Http.Unauthorized, 401),
  CrossSiteRequest: answer(Http.CrossSiteRequest, 403),
  RouteNotFound: answer(Http.RouteNotFound, 404),
  MethodNotAllowed: answer(Http.MethodNotAllowed, 405),
  PayloadTooLarge: answer(Http.PayloadTooLarge, 413),
  UnsupportedMediaType: answer(Http.UnsupportedMediaType, 415),
  MisdirectedRequest: answer(Http.MisdirectedRequest, 421),
  TooManyUploads: answer(Http.TooManyUploads, 503),
  TooManyListeners: answer(Http.TooManyListeners, 503),
  InternalError: answer(Http.InternalError, 500),
}

type ErrorAnswers = typeof errorAnswers
export type ErrorAnswer = {
  readonly [Tag in keyof ErrorAnswers]: ErrorAnswers[Tag]["Type"]
}[keyof ErrorAnswers]

export const isErrorAnswer = (error: unknown): error is ErrorAnswer =>
  typeof error === "object" &&
  error !== null &&
  "_tag" in error &&
  Object.hasOwn(errorAnswers, error._tag as string)

/** The body of the answer: what is documented of the error, and nothing else. */
export const bodyOf = <Answer extends ErrorAnswer>(error: Answer): Answer => {
  const body: Record<string, unknown> = { _tag: error._tag, message: error.message }
  for (const key of Object.keys(errorAnswers[error._tag].fields)) body[key] = error[key as keyof Answer]
  return body as Answer
}

export const statusOf = (error: ErrorAnswer): number => HttpApiSchema.getStatusError(errorAnswers[error._tag])

/** When to try again, in seconds: soon where it passes by itself, later where somebody has to repair something. */
const retryAfterSeconds: { readonly [Tag in ErrorAnswer["_tag"]]?: number } = {
  QueueFull: 5,
  CacheUnavailable: 1,
  ShuttingDown: 5,
  StoreUnavailable: 5,
  StoreMisconfigured: 30,
  SchemaSuspected: 30,
  TooManyUploads: 1,
  TooManyListeners: 30,
}

export const headersOf = (error: ErrorAnswer): Readonly<Record<string, string>> => {
  switch (error._tag) {
    case "RateLimited":
      return { "retry-after": String(Math.max(1, Math.ceil(error.retry_after_ms / 1000))) }
    case "Unauthorized":
      return { "www-authenticate": "Bearer" }
    case "MethodNotAllowed":
      return { allow: error.allowed.join(", ") }
    default: {
      const seconds = retryAfterSeconds[error._tag]
      return seconds === undefined ? {} : { "retry-after": String(seconds) }
    }
  }
}
