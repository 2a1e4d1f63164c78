/**
 * For applications that talk to a chat-cache over HTTP. Loads nothing of the daemon, and runs wherever there is an
 * `HttpClient`, such as `FetchHttpClient.layer` of `@effect/platform`.
 */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { Duration, Effect, type Redacted } from "effect"
import { Api } from "./http/Api.ts"
import { listenToEvents } from "./http/listenToEvents.ts"
import { retryRefused } from "./http/retryRefused.ts"

export { Api } from "./http/Api.ts"
export type { ErrorAnswer } from "./http/ErrorAnswers.ts"
export type { EventsError } from "./http/listenToEvents.ts"
export type * from "./domain/Event.ts"
export type * from "./domain/Message.ts"

export interface ClientOptions {
  /** Where the daemon listens, such as `http://127.0.0.1:8080`. */
  readonly url: string | URL
  /** The daemon's `CHAT_CACHE_API_TOKEN`. */
  readonly token?: Redacted.Redacted<string>
  /** How often a request is sent again that was refused and may be: 3 unless given, 0 for never. */
  readonly retries?: number
  /** The longest that the client waits before it sends a request again: 10 seconds unless given. */
  readonly longestWait?: Duration.DurationInput
}

/**
 * Every route as a function, with its answer and its errors typed, by group: `client.publishing.publish({ payload })`.
 *
 * A request is sent again, after the time that the daemon asks for, when nothing of it was executed. When it may have
 * been, a message is sent again only with a `message_id` of its own, by which it is stored once.
 */
export const make = ({ url, token, retries = 3, longestWait = "10 seconds" }: ClientOptions) =>
  Effect.gen(function* () {
    const http = (yield* HttpClient.HttpClient).pipe(
      HttpClient.mapRequest((request) =>
        token === undefined ? request : HttpClientRequest.bearerToken(request, token),
      ),
      retryRefused({ retries, longestWait: Duration.decode(longestWait) }),
    )
    const { events: _events, ...client } = yield* HttpApiClient.makeWith(Api, {
      httpClient: http,
      baseUrl: url,
    })
    const based = HttpClient.mapRequest(http, HttpClientRequest.prependUrl(url.toString()))
    return { ...client, followEvents: listenToEvents(based) }
  })

export type ChatCacheClient = Effect.Effect.Success<ReturnType<typeof make>>
