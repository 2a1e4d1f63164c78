/** What is wrong with a request as HTTP, before it means anything. What it means can fail with the errors of the domain. */
import { Schema } from "effect"
import { Problem } from "../domain/Validation.ts"

const whatIsWrong = { empty: "is empty", malformed: "is not valid JSON", invalid_utf8: "is not valid UTF-8" }

export class InvalidJson extends Schema.TaggedError<InvalidJson>()("InvalidJson", {
  reason: Schema.Literal("empty", "malformed", "invalid_utf8"),
}) {
  override get message(): string {
    return `The body ${whatIsWrong[this.reason]}: send it as JSON in UTF-8.`
  }
}

/** A path or query parameter, or the frame around the messages of a batch, breaks a rule. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  problems: Schema.Array(Problem),
}) {
  override get message(): string {
    return `The request cannot be understood: ${this.problems
      .map(({ field, problem }) => (field === "" ? problem : `${field} ${problem}`))
      .join("; ")}.`
  }
}

export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {}) {
  override get message(): string {
    return "Send the token of this chat-cache (CHAT_CACHE_API_TOKEN) in the header `Authorization: Bearer <token>`."
  }
}

/** A page of another site made a browser send this. */
export class CrossSiteRequest extends Schema.TaggedError<CrossSiteRequest>()("CrossSiteRequest", {}) {
  override get message(): string {
    return "Pages of other sites may not change anything here: send the request from a server, not from a browser."
  }
}

export class RouteNotFound extends Schema.TaggedError<RouteNotFound>()("RouteNotFound", {}) {
  override get message(): string {
    return "There is no such route: compare the path, in its case and without a slash at its end, with the documentation."
  }
}

export class MethodNotAllowed extends Schema.TaggedError<MethodNotAllowed>()("MethodNotAllowed", {
  allowed: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `This route does not know the method: use ${this.allowed.join(" or ")}.`
  }
}

export class PayloadTooLarge extends Schema.TaggedError<PayloadTooLarge>()("PayloadTooLarge", {
  maximum_bytes: Schema.Number,
}) {
  override get message(): string {
    return `The body is larger than ${this.maximum_bytes} bytes: send fewer messages at once.`
  }
}

export class UnsupportedMediaType extends Schema.TaggedError<UnsupportedMediaType>()(
  "UnsupportedMediaType",
  {},
) {
  override get message(): string {
    return "Send the body as JSON in UTF-8, with the header `Content-Type: application/json`."
  }
}

/** The request was made out to somebody else, which is what a DNS rebinding attack looks like. */
export class MisdirectedRequest extends Schema.TaggedError<MisdirectedRequest>()("MisdirectedRequest", {}) {
  override get message(): string {
    return "This chat-cache does not go by that name: the request needs exactly one Host header, with `localhost` or the address that it listens on, and the port. CHAT_CACHE_ALLOWED_HOSTS adds the name of a proxy in front."
  }
}

/** As much is being received as may be held in memory at once. */
export class TooManyUploads extends Schema.TaggedError<TooManyUploads>()("TooManyUploads", {}) {
  override get message(): string {
    return "Too many large requests are being received at once: try again in a moment."
  }
}

/** As many clients are following the journal as may. */
export class TooManyListeners extends Schema.TaggedError<TooManyListeners>()("TooManyListeners", {
  maximum: Schema.Number,
}) {
  override get message(): string {
    return `${this.maximum} clients are following the events already: try again later, or close a stream that nobody reads.`
  }
}

/** A fault of this program. Its cause is in the log, never in the answer. */
export class InternalError extends Schema.TaggedError<InternalError>()("InternalError", {}) {
  override get message(): string {
    return "chat-cache failed to answer because of a fault of its own, which its log describes."
  }
}
