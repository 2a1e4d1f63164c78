import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type { Schema } from "effect"

/**
 * Answers with a body of the documented schema. The compiler checks it, nothing does at run time: everything that is
 * sent was validated where it came in, and doing it again would cost most of the time of an answer.
 */
export const reply = <A, I>(
  schema: Schema.Schema<A, I>,
): ((body: I) => HttpServerResponse.HttpServerResponse) => {
  const status = HttpApiSchema.getStatusSuccess(schema)
  return (body) => HttpServerResponse.unsafeJson(body, { status })
}
