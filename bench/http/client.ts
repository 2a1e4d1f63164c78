import { Effect, type Scope } from "effect"
import { Pool } from "undici"

export interface Answer {
  readonly status: number
  readonly body: unknown
}

export interface TextAnswer {
  readonly status: number
  readonly text: string
}

export const isSuccess = ({ status }: Answer): boolean => status >= 200 && status < 300

export interface HttpClient {
  /** @param body is sent as JSON */
  readonly post: (path: string, body: unknown) => Promise<Answer>
  /** @param json is sent as it is; so is the answer returned */
  readonly postText: (path: string, json: string) => Promise<TextAnswer>
}

const headersOf = (token: string | undefined): Record<string, string> => ({
  "content-type": "application/json",
  ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
})

/** Reads every answer to its end: a client that does not would not see what is wrong with it. */
export const open = (
  url: string,
  connections: number,
  token?: string,
): Effect.Effect<HttpClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(
      () => new Pool(url, { connections, pipelining: 1, headersTimeout: 30_000, bodyTimeout: 30_000 }),
    ),
    (pool) => Effect.promise(() => pool.destroy()),
  ).pipe(
    Effect.map((pool) => {
      const headers = headersOf(token)
      const postText: HttpClient["postText"] = async (path, body) => {
        const response = await pool.request({ method: "POST", path, headers, body })
        return { status: response.statusCode, text: await response.body.text() }
      }
      return {
        postText,
        post: async (path, body) => {
          const { status, text } = await postText(path, JSON.stringify(body))
          return { status, body: text === "" ? undefined : JSON.parse(text) }
        },
      } satisfies HttpClient
    }),
  )
