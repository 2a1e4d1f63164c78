/** Load for a daemon over HTTP: messages at fixed times, whether or not the earlier ones have their answers. */
import type { Effect } from "effect"
import { type Answer, type HttpClient, isSuccess } from "../http/client.ts"
import { makeDraft, type MessageSize } from "../support/messages.ts"
import * as OpenLoop from "../support/openLoop.ts"

export interface HttpLoad extends MessageSize {
  /** Messages per second. */
  readonly rate: number
  readonly seconds: number
  /** Messages in one request; `undefined` sends each alone. */
  readonly batch: number | undefined
}

export interface Observed {
  readonly requests: OpenLoop.Progress
  /** Requests by the status of their answer, or by what broke the connection. */
  readonly statuses: Map<string, number>
  /** Messages of batches by their own status. */
  readonly results: Map<string, number>
  accepted: number
  /** Of accepted messages, up to `maximumIds`. */
  readonly cacheIds: Set<number>
  /** Of those. A `cache_id` given twice within them would be missing here. */
  noted: number
}

/** The ids of more messages than this are not kept. */
export const maximumIds = 2_000_000

/** The most requests without an answer. Past it, arrivals are dropped and counted. */
const maximumUnderWay = 2000

export const observe = (): Observed => ({
  requests: OpenLoop.progress(),
  statuses: new Map(),
  results: new Map(),
  accepted: 0,
  cacheIds: new Set(),
  noted: 0,
})

const count = (counts: Map<string, number>, key: string): void =>
  void counts.set(key, (counts.get(key) ?? 0) + 1)

const accept = (observed: Observed, cacheId: number): void => {
  observed.accepted++
  if (observed.noted === maximumIds) return
  observed.noted++
  observed.cacheIds.add(cacheId)
}

interface Accepted {
  readonly cache_id: number
}

interface BatchAnswer {
  readonly results: ReadonlyArray<Accepted & { readonly status: string }>
}

const note = (observed: Observed, isBatch: boolean, answer: Answer): void => {
  count(observed.statuses, String(answer.status))
  if (!isSuccess(answer)) return
  const { body } = answer
  if (!isBatch) return accept(observed, (body as Accepted).cache_id)
  for (const result of (body as BatchAnswer).results) {
    count(observed.results, result.status)
    if (result.status === "accepted") accept(observed, result.cache_id)
  }
}

const reasonOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? (error as Error).message

/** Goes on for `seconds`, and then until everything sent has its answer. */
export const run = (
  client: HttpClient,
  { rate, seconds, batch, ...size }: HttpLoad,
  observed: Observed,
): Effect.Effect<OpenLoop.Progress> => {
  const messagesPerRequest = batch ?? 1
  const path = batch === undefined ? "/messages" : "/messages/batch"
  const load = {
    rate: rate / messagesPerRequest,
    total: Math.max(1, Math.round((rate * seconds) / messagesPerRequest)),
    maximumUnderWay,
  }
  const bodyOf = (index: number): unknown =>
    batch === undefined
      ? makeDraft(index, size)
      : { messages: Array.from({ length: batch }, (_, at) => makeDraft(index * batch + at, size)) }
  return OpenLoop.openLoop(
    load,
    (index, done) => {
      client
        .post(path, bodyOf(index))
        .then(
          (answer) => note(observed, batch !== undefined, answer),
          (error: unknown) => count(observed.statuses, reasonOf(error)),
        )
        .finally(done)
    },
    observed.requests,
  )
}
