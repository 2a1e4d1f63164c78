/** How the command line fails: with a sentence, and a code that scripts can use. */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import { Cause, ConfigError, Option } from "effect"
import { stripVTControlCharacters } from "node:util"
import { bodyOf, isErrorAnswer } from "../http/ErrorAnswers.ts"

/** From sysexits.h, as far as there is one for it. */
export const exitCodes = { ok: 0, failed: 1, usage: 64, configuration: 78, interrupted: 130 }

const usageTags = ["UsageError", "NotConfirmed"]

const isQuit = (failure: unknown): boolean =>
  (failure as { readonly _tag?: unknown } | undefined)?._tag === "QuitException"

export const exitCodeOf = (cause: Cause.Cause<unknown>): number => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  if (Cause.isInterruptedOnly(cause)) return Number(process.exitCode ?? exitCodes.interrupted)
  if (isQuit(failure)) return exitCodes.interrupted
  const tag = (failure as { readonly _tag?: string } | undefined)?._tag
  if (ValidationError.isValidationError(failure) || usageTags.includes(tag ?? "")) return exitCodes.usage
  return ConfigError.isConfigError(failure) || tag === "UnsafeConfiguration"
    ? exitCodes.configuration
    : exitCodes.failed
}

interface Described {
  readonly _tag: string
  readonly message: string
}

const hint = (failure: object): string =>
  "sqlstate" in failure && failure.sqlstate === "42P01"
    ? " Tables are missing: `chat-cache migrate` makes them."
    : ""

const describe = (failure: unknown): Described => {
  if (ValidationError.isValidationError(failure)) {
    const text = stripVTControlCharacters(HelpDoc.toAnsiText(failure.error)).trim()
    return { _tag: "UsageError", message: `${text.replace(/\.?$/, ".")} Try --help.` }
  }
  if (ConfigError.isConfigError(failure)) {
    return { _tag: "ConfigError", message: `Configuration: ${failure}` }
  }
  if (isErrorAnswer(failure)) {
    const body = bodyOf(failure)
    return { ...body, message: body.message + hint(body) }
  }
  const { _tag = "Error", message } = failure as Partial<Described> & Error
  return { _tag, message }
}

/** What goes to standard error, `undefined` for nothing. Only a fault of our own shows where it happened. */
export const messageOf = (cause: Cause.Cause<unknown>, json: boolean): string | undefined => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  if (Cause.isInterruptedOnly(cause) || isQuit(failure)) return undefined
  const described =
    failure === undefined
      ? {
          _tag: "InternalError",
          message: `chat-cache failed because of a fault of its own.\n${Cause.pretty(cause)}`,
        }
      : describe(failure)
  return json ? JSON.stringify(described, null, 2) : described.message
}
