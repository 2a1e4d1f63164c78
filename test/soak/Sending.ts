/** Sends messages, over HTTP or to the library, and says of each what the answer means for it. */
import { Effect, Either } from "effect"
import type { QueueName } from "../../src/domain/Message.ts"
import type { PublishError } from "../../src/services/Publisher.ts"
import type { Told } from "./books.ts"
import type { World } from "./World.ts"

export interface Draft {
  readonly message_id?: string
  readonly message: string
}

export interface Outcome {
  readonly told: Told
  /** In one word, for the counts. */
  readonly kind: string
  readonly messageId?: string | undefined
}

/** An answer that no failure excuses. */
export type OnUnexpected = (answer: string) => void

/** Longer than a daemon takes to tell that Valkey does not answer. */
const answerWithin = 12_000

interface ErrorBody {
  readonly _tag?: string
  readonly execution?: "refused" | "unknown"
  readonly message_id?: string
}

interface ResultBody extends ErrorBody {
  readonly status?: string
  readonly message_id?: string
  readonly error?: ErrorBody
}

const refusals = new Set(["RateLimited", "QueueFull", "ShuttingDown", "TooManyUploads"])

/** The same for the errors of the library and for the bodies of HTTP. */
const outcomeOfError = ({ _tag: tag, execution, message_id: messageId }: ErrorBody): Outcome | undefined => {
  if (tag === "CacheUnavailable" && execution !== undefined) {
    return { told: execution, kind: execution === "refused" ? tag : "Unknown", messageId }
  }
  return tag !== undefined && refusals.has(tag) ? { told: "refused", kind: tag } : undefined
}

const unexpected: Outcome = { told: "unknown", kind: "Unexpected" }

const outcomeOfResult = (result: ResultBody): Outcome | undefined => {
  switch (result.status) {
    case "accepted":
      return { told: "accepted", kind: "accepted", messageId: result.message_id }
    case "rate_limited":
      return { told: "refused", kind: "RateLimited" }
    default:
      return result.error === undefined ? undefined : outcomeOfError(result.error)
  }
}

const isRefusedConnection = (error: unknown): boolean =>
  ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === "ECONNREFUSED"

const post = async (
  url: string,
  body: unknown,
): Promise<{ readonly status: number; readonly text: string } | Outcome> => {
  try {
    const response = await fetch(url, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
      signal: AbortSignal.timeout(answerWithin),
    })
    return { status: response.status, text: await response.text() }
  } catch (error) {
    return isRefusedConnection(error)
      ? { told: "refused", kind: "NotConnected" }
      : { told: "unknown", kind: "NoAnswer" }
  }
}

const paths = { public: "/messages", private: "/private-messages" }

const sendHttp = async (
  url: string,
  queue: QueueName,
  drafts: ReadonlyArray<Draft>,
  onUnexpected: OnUnexpected,
): Promise<ReadonlyArray<Outcome>> => {
  const isBatch = drafts.length > 1
  const answer = await post(
    `${url}${paths[queue]}${isBatch ? "/batch" : ""}`,
    isBatch ? { messages: drafts } : drafts[0],
  )
  if ("told" in answer) return drafts.map(() => answer)
  const body = JSON.parse(answer.text) as ResultBody & { readonly results?: ReadonlyArray<ResultBody> }
  const outcomes =
    body.results?.map(outcomeOfResult) ??
    drafts.map(() =>
      answer.status === 202 ? outcomeOfResult({ ...body, status: "accepted" }) : outcomeOfError(body),
    )
  return drafts.map((_, index) => {
    const outcome = outcomes[index]
    if (outcome === undefined) onUnexpected(`${answer.status} ${answer.text.slice(0, 200)}`)
    return outcome ?? unexpected
  })
}

const outcomeOfEither = (
  outcome: Either.Either<{ readonly message_id: string }, PublishError>,
): Outcome | undefined =>
  Either.isRight(outcome)
    ? { told: "accepted", kind: "accepted", messageId: outcome.right.message_id }
    : outcomeOfError(outcome.left as ErrorBody)

const sendToLibrary = (
  { chatCache }: World,
  queue: QueueName,
  drafts: ReadonlyArray<Draft>,
  onUnexpected: OnUnexpected,
) => {
  const publishAll = queue === "public" ? chatCache.publishAll : chatCache.publishAllPrivate
  return Effect.map(publishAll(drafts), (outcomes) =>
    outcomes.map((outcome) => {
      const understood = outcomeOfEither(outcome)
      if (understood === undefined) onUnexpected(String(outcome))
      return understood ?? unexpected
    }),
  )
}

/** @param url of a daemon; `undefined` sends to the library */
export const send = (
  world: World,
  url: string | undefined,
  queue: QueueName,
  drafts: ReadonlyArray<Draft>,
  onUnexpected: OnUnexpected,
): Effect.Effect<ReadonlyArray<Outcome>> =>
  url === undefined
    ? sendToLibrary(world, queue, drafts, onUnexpected)
    : Effect.promise(() => sendHttp(url, queue, drafts, onUnexpected))

/** Whether the message is deleted for certain. */
export const remove = (
  { chatCache }: World,
  url: string | undefined,
  queue: QueueName,
  messageId: string,
  onUnexpected: OnUnexpected,
): Effect.Effect<boolean> => {
  if (url === undefined) {
    const remove = queue === "public" ? chatCache.delete : chatCache.deletePrivate
    return Effect.isSuccess(remove(messageId))
  }
  return Effect.promise(async () => {
    try {
      const response = await fetch(`${url}${paths[queue]}/${messageId}`, {
        method: "DELETE",
        signal: AbortSignal.timeout(30_000),
      })
      const text = await response.text()
      if (response.status !== 204 && response.status !== 503)
        onUnexpected(`deletion: ${response.status} ${text}`)
      return response.status === 204
    } catch {
      return false
    }
  })
}
