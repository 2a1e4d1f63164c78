import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { securityHeaders } from "./securityHeaders.ts"

const answers: Readonly<
  Record<string, { readonly status: string; readonly tag: string; readonly message: string }>
> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: "408 Request Timeout",
    tag: "RequestTimeout",
    message: "The request did not arrive in time: send it faster, or in smaller parts.",
  },
  HPE_HEADER_OVERFLOW: {
    status: "431 Request Header Fields Too Large",
    tag: "HeadersTooLarge",
    message: "The headers of the request are too large: send fewer or shorter ones.",
  },
}

const malformed = {
  status: "400 Bad Request",
  tag: "MalformedRequest",
  message: "This is not a request in HTTP/1.1.",
}

const answerTo = (code: string | undefined): string => {
  const { status, tag, message } = answers[code ?? ""] ?? malformed
  const body = JSON.stringify({ _tag: tag, message })
  return [
    `HTTP/1.1 ${status}`,
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    ...Object.entries(securityHeaders).map(([name, value]) => `${name}: ${value}`),
    "",
    body,
  ].join("\r\n")
}

/** Answers as JSON what never becomes a request: Node's own answers to it have no body. */
export const answerMalformed = (server: Server): void => {
  const lastResponses = new WeakMap<Socket, ServerResponse>()
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    lastResponses.set(request.socket, response)
  })
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const response = lastResponses.get(socket)
    // Between the bytes of another answer it would be taken for a part of that.
    const isMidAnswer = response !== undefined && response.headersSent && !response.writableFinished
    if (socket.writable && !isMidAnswer) socket.end(answerTo(error.code))
    socket.destroySoon()
  })
}
