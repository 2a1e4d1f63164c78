/** The route of the journal. It does not end, so that it is described here and answered as a stream. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import { Schema } from "effect"
import { RecordedEvent } from "../domain/Event.ts"
import { errorAnswers as error } from "./ErrorAnswers.ts"
import { IntegerParameter, Query } from "./Parameters.ts"

/** The `data` of an event of the stream. Its `id` is the position, its `event` the type. */
export const EventData = Schema.parseJson(RecordedEvent)

export const events = HttpApiGroup.make("events").add(
  HttpApiEndpoint.get("events", "/events")
    .setUrlParams(Query({ after: IntegerParameter(0) }))
    // What a client sends that connects again. It has read more since it asked for `after`.
    .setHeaders(Query({ "last-event-id": IntegerParameter(0) }))
    .addSuccess(HttpApiSchema.Text({ contentType: "text/event-stream" }))
    .addError(error.TooManyListeners),
)
