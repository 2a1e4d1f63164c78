import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import { Effect } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { InvalidJson, PayloadTooLarge, TooManyUploads, UnsupportedMediaType } from "./Errors.ts"

/** The most bytes of a body with one message, and of one with many. */
export const maximumBytes = { single: 1024 * 1024, batch: 8 * 1024 * 1024 }

/** The most bytes of unfinished bodies that all connections together may make this process hold. */
const maximumHeldBytes = 128 * 1024 * 1024

let heldBytes = 0

export type BodyError = InvalidJson | UnsupportedMediaType | PayloadTooLarge | TooManyUploads

const jsonMediaType = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** The parser's own words would quote the body. */
const parse = (bytes: Uint8Array): Effect.Effect<unknown, InvalidJson> => {
  if (bytes.length === 0) return new InvalidJson({ reason: "empty" })
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return new InvalidJson({ reason: "invalid_utf8" })
  }
  try {
    return Effect.succeed(JSON.parse(text))
  } catch {
    return new InvalidJson({ reason: "malformed" })
  }
}

/** Receives the body, and no more of it than `maximum`: what comes after is thrown away as it arrives. */
const receive = (
  source: IncomingMessage,
  maximum: number,
): Effect.Effect<Uint8Array, PayloadTooLarge | TooManyUploads> =>
  Effect.async((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0

    const stop = (): void => {
      source.off("data", onData).off("end", onEnd).off("error", onError)
      heldBytes -= size
      size = 0
    }
    const refuse = (error: PayloadTooLarge | TooManyUploads): void => {
      stop()
      source.resume()
      resume(error)
    }
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk)
      size += chunk.length
      heldBytes += chunk.length
      if (size > maximum) refuse(new PayloadTooLarge({ maximum_bytes: maximum }))
      else if (heldBytes > maximumHeldBytes) refuse(new TooManyUploads())
    }
    const onEnd = (): void => {
      stop()
      resume(Effect.succeed(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    }
    // Nobody is left to be answered.
    const onError = (): void => {
      stop()
      resume(Effect.interrupt)
    }
    source.on("data", onData).on("end", onEnd).on("error", onError)
    return Effect.sync(stop)
  })

/**
 * Reads a JSON body. One whose length says that it is too large is not read at all, and a client that asks first
 * (`Expect: 100-continue`) is never told to send it.
 *
 * @param maximum in bytes
 */
export const receiveJson = (
  source: IncomingMessage,
  response: ServerResponse,
  maximum: number,
): Effect.Effect<unknown, BodyError> => {
  if (!jsonMediaType.test(source.headers["content-type"] ?? "")) return new UnsupportedMediaType()
  if (Number(source.headers["content-length"] ?? 0) > maximum) {
    return new PayloadTooLarge({ maximum_bytes: maximum })
  }
  if (source.headers.expect !== undefined) response.writeContinue()
  return Effect.flatMap(receive(source, maximum), parse)
}

/** The same, of a request in a route. */
export const readJson = (request: HttpServerRequest, maximum: number): Effect.Effect<unknown, BodyError> =>
  receiveJson(
    NodeHttpServerRequest.toIncomingMessage(request),
    NodeHttpServerRequest.toServerResponse(request),
    maximum,
  )

/** Reads a JSON body where there may be none: then the answer is `undefined`. */
export const readOptionalJson = (
  request: HttpServerRequest,
  maximum: number,
): Effect.Effect<unknown, BodyError> => {
  const { headers } = NodeHttpServerRequest.toIncomingMessage(request)
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0
  return hasBody ? readJson(request, maximum) : Effect.void
}
