/** The routes of the history. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import { Schema } from "effect"
import { maximumHistoryLimit } from "../domain/History.ts"
import { CachedPrivateMessage, CachedPublicMessage } from "../domain/Message.ts"
import { errorAnswers as error } from "./ErrorAnswers.ts"
import { ChannelParameter, CursorParameter, IntegerParameter, Query, UserIdParameter } from "./Parameters.ts"

/**
 * Oldest first. `previous` is the `before` of the page of older messages, and `next` the `after` of that of newer ones;
 * each is absent when there were none when the page was read. A page may be shorter than asked for and still have both.
 */
const pageOf = <A, I>(message: Schema.Schema<A, I>) =>
  Schema.Struct({
    messages: Schema.Array(message),
    previous: Schema.optionalWith(Schema.String, { exact: true }),
    next: Schema.optionalWith(Schema.String, { exact: true }),
  })

export const PublicPage = pageOf(CachedPublicMessage)
export const PrivatePage = pageOf(CachedPrivateMessage)

const range = {
  before: CursorParameter,
  after: CursorParameter,
  limit: IntegerParameter(1, maximumHistoryLimit),
}

const HistoryErrors = Schema.Union(
  error.InvalidHistoryQuery,
  error.CacheUnavailable,
  error.StoreUnavailable,
  error.StoreMisconfigured,
)

export const history = HttpApiGroup.make("history")
  .add(
    HttpApiEndpoint.get("history", "/messages")
      .setUrlParams(Query({ ...range, channel: ChannelParameter }))
      .addSuccess(PublicPage)
      .addError(HistoryErrors),
  )
  .add(
    HttpApiEndpoint.get("privateHistory", "/private-messages/:user_id")
      .setPath(Schema.Struct({ user_id: UserIdParameter }))
      .setUrlParams(Query(range))
      .addSuccess(PrivatePage)
      .addError(HistoryErrors),
  )
