import { DateTime, Duration, Effect, Runtime } from "effect"
import * as Metrics from "../Metrics.ts"
import { describe } from "./Failure.ts"

/** A server that answers READONLY keeps the client reconnecting, and once a minute is often enough to say so. */
const readOnlyReportInterval = Duration.toMillis("1 minute")

/** What the events of a client tell about its connection. Changes are logged, attempts are not. */
export interface ConnectionState {
  /** A socket is open, and the server has not said yet that it is ready. */
  readonly onConnect: () => void
  readonly onReady: () => void
  readonly onError: (error: unknown) => void
  readonly onClose: () => void
  /** The server has answered READONLY, and the connection is about to be renewed. */
  readonly onReadOnly: () => void
  /** The connection is about to be closed for good. */
  readonly onEnd: () => void
  /** Whether the connection leads to where it should. */
  readonly isUsable: () => boolean
  /** Why there is no connection, in a few words. */
  readonly reason: () => string
  /** The same as a sentence, with the time since when. */
  readonly sentence: () => string
}

/** What a socket says when its other end is gone. */
const hangUps = new Set<unknown>(["ECONNRESET", "EPIPE"])

/**
 * A server that has enough clients says so and closes the connection, but its words are lost when the client has
 * written something to it already.
 */
const describeHangUp = (error: unknown): string =>
  `the server closes new connections at once (${describe(error)}), as it does when it has as many as its maxclients allows`

const isHangUp = (error: unknown): boolean =>
  error instanceof Error && "code" in error && hangUps.has(error.code)

/** The client would go on with database 0, and with whatever is in it. */
const isRefusedDatabase = (error: unknown): boolean =>
  error instanceof Error && (error as { command?: { name?: string } }).command?.name === "select"

/** @param server what to call it, such as `Valkey at 127.0.0.1:6379` */
export const make = (server: string): Effect.Effect<ConnectionState> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const now = () => clock.unsafeCurrentTimeMillis()

    let downSince: number | undefined = now()
    let lastError: string | undefined
    let lossTold = false
    let readOnlyToldAt = -Infinity
    let isNew = false
    let isUsable = true
    let isRenewing = false
    let isEnding = false

    const reason = () => {
      const why = lastError ?? "it has not answered yet"
      return isNew ? `${why}; now it accepts connections and is not ready, as while it loads its data` : why
    }
    const tellLoss = () => {
      if (lossTold || isEnding) return
      lossTold = true
      runFork(
        Effect.logWarning(`${server} cannot be reached (${reason()}); it is tried again until it answers.`),
      )
    }

    return {
      onConnect: () => {
        isNew = true
        isUsable = true
      },
      onReady: () => {
        isNew = false
        if (!isUsable) return
        Metrics.up.valkey.unsafeUpdate(1, [])
        if (lossTold && downSince !== undefined) {
          runFork(
            Effect.logInfo(`${server} can be reached again, after ${Duration.format(now() - downSince)}.`),
          )
        }
        downSince = undefined
        lastError = undefined
        lossTold = false
        isRenewing = false
      },
      onError: (error) => {
        if (isRefusedDatabase(error)) {
          isUsable = false
          lastError = `the server refuses the database of VALKEY_URL (${describe(error)})`
          downSince ??= now()
          return tellLoss()
        }
        lastError = isNew && isHangUp(error) ? describeHangUp(error) : describe(error)
        if (downSince !== undefined) tellLoss()
      },
      onClose: () => {
        Metrics.up.valkey.unsafeUpdate(0, [])
        isNew = false
        lastError ??= isRenewing ? "it is a read-only replica" : "the connection was closed"
        downSince ??= now()
        if (!isRenewing) tellLoss()
      },
      onReadOnly: () => {
        isRenewing = true
        if (now() - readOnlyToldAt < readOnlyReportInterval) return
        readOnlyToldAt = now()
        runFork(
          Effect.logWarning(
            `${server} is a read-only replica; the connection is renewed to find the primary.`,
          ),
        )
      },
      onEnd: () => {
        isEnding = true
      },
      isUsable: () => isUsable,
      reason,
      sentence: () => {
        const since = DateTime.formatIso(DateTime.unsafeMake(downSince ?? now())).replace(/\.\d+Z$/, "Z")
        return `${server} cannot be reached since ${since} (${reason()}).`
      },
    }
  })
