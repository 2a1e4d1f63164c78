import { ReplyError } from "iovalkey"
import { CacheUnavailable, CounterMissing } from "../../domain/Errors.ts"
import type { QueueName } from "../../domain/Message.ts"
import { tlsProblem } from "../tlsProblem.ts"

/** Codes of error replies that Valkey, or a script of ours, gives before it has executed anything. */
const refusals = new Set([
  "ASK",
  "BUSY",
  "CLUSTERDOWN",
  "COUNTER_INVALID",
  "COUNTER_MISSING",
  "CROSSSLOT",
  "DENIED",
  "LOADING",
  "MASTERDOWN",
  "MISCONF",
  "MOVED",
  "NOAUTH",
  "NOPERM",
  "NOREPLICAS",
  "NOSCRIPT",
  "OOM",
  "READONLY",
  "TRYAGAIN",
  "WRONGPASS",
  "WRONGTYPE",
])

/** Refusals among the errors that have no code of their own. */
const uncodedRefusal = /^ERR (?:unknown command|Error compiling script|max number of clients reached)/

/** What the client says when a command was never written to a socket. */
const unsent = "Stream isn't writeable"

const isErrorReply = (error: unknown): error is Error => error instanceof ReplyError

/** The first word of an error, in capitals: `OOM`, `ERR`. */
export const errorCode = (reason: string): string => /^[A-Z_]+(?= |$)/.exec(reason)?.[0] ?? ""

/** The client hangs the arguments, and with them messages, on its errors: nothing but this text may leave this module. */
export const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return "an error without a description"
  if (error.name === "MaxRetriesPerRequestError" || error.message === "Connection is closed.") {
    return "the connection was lost before the reply came"
  }
  if (error.message === "Command timed out") return "no reply came in time"
  if (error.message.startsWith(unsent)) return "not connected"
  const tls = tlsProblem(error, "CHAT_CACHE_VALKEY_CA_FILE")
  if (tls !== undefined) return tls
  const [line = ""] = error.message.split("\n")
  const text = line.replace(/,? with args beginning with.*$/, "").replace(/ script: [0-9a-f]{40}, on .*$/, "")
  if (text !== "") return text.slice(0, 300)
  // Several addresses were tried and each has its own error.
  return "code" in error && typeof error.code === "string" ? error.code : error.name
}

const wasRefused = (error: unknown): boolean => {
  if (isErrorReply(error)) return refusals.has(errorCode(error.message)) || uncodedRefusal.test(error.message)
  return error instanceof Error && error.message.startsWith(unsent)
}

export const isUnknownScript = (error: unknown): boolean =>
  isErrorReply(error) && errorCode(error.message) === "NOSCRIPT"

export const refused = (operation: string, reason: string): CacheUnavailable =>
  new CacheUnavailable({ operation, execution: "refused", reason })

/** What a failed command tells about itself: whether it may have been executed, and why it failed. */
export const fromError = (operation: string, error: unknown): CacheUnavailable =>
  new CacheUnavailable({
    operation,
    execution: wasRefused(error) ? "refused" : "unknown",
    reason: describe(error),
  })

/** Tells the scripts' COUNTER_MISSING, which the caller can repair, from every other failure. */
export const orCounterMissing =
  (queue: QueueName) =>
  (error: CacheUnavailable): CacheUnavailable | CounterMissing =>
    errorCode(error.reason) === "COUNTER_MISSING" ? new CounterMissing({ queue }) : error
