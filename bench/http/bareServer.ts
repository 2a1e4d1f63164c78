/**
 * What a plain server does for `POST /messages`: reads the body, looks whether each field is a text of the right length,
 * makes the script call of chat-cache, and answers with the ids. No framework, no grouping, no tokens, no metrics.
 */
import { Redis } from "iovalkey"
import { createHash, randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as SettingsConfig from "../../src/layers/SettingsConfig.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import * as PublishCall from "../../src/layers/valkey/PublishCall.ts"

const script = readFileSync(new URL("../../lua/publishMessages-3.lua", import.meta.url), "utf8")
const sha1 = createHash("sha1").update(script).digest("hex")

const longest = { owner_id: 36, username: 64, channel: 24, message: 21_845 } as const
type Field = keyof typeof longest
const fields = Object.keys(longest) as ReadonlyArray<Field>

const setting = (name: string): string => process.env[`CHAT_CACHE_${name}`]!
const callOf = PublishCall.make(Keys.make(setting("KEY_PREFIX")), {
  ...SettingsConfig.defaults,
  maxCacheSize: Number(setting("MAX_CACHE_SIZE")),
  rateLimit: {
    message_limit: Number(setting("MESSAGE_LIMIT")),
    window_seconds: Number(setting("WINDOW_SECONDS")),
  },
})

const client = new Redis(process.env["VALKEY_URL"]!)
await client.script("LOAD", script)

const isValid = (draft: Partial<Record<Field, unknown>>): draft is Record<Field, string> =>
  fields.every((field) => {
    const value = draft[field]
    return typeof value === "string" && value.length > 0 && value.length <= longest[field]
  })

const read = async (request: http.IncomingMessage): Promise<unknown> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString("utf8"))
}

const publish = async (draft: Record<Field, string>) => {
  const { owner_id, username, channel, message } = draft
  const message_id = randomUUID()
  const authored_at = new Date().toISOString()
  const payload = JSON.stringify({ message_id, owner_id, username, channel, message, authored_at })
  const { keys, args } = callOf("public", [{ payload, ownerId: owner_id, channel }])
  const reply = (await client.evalsha(sha1, keys.length, ...keys, ...args)) as [number, number]
  return { cache_id: reply[1], message_id, authored_at }
}

const answer = (response: http.ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
}

const server = http.createServer(async (request, response) => {
  try {
    if (request.method !== "POST" || request.url !== "/messages") return answer(response, 404, {})
    const draft = (await read(request)) as Partial<Record<Field, unknown>>
    if (!isValid(draft)) return answer(response, 400, {})
    answer(response, 202, await publish(draft))
  } catch (error) {
    answer(response, 500, { message: (error as Error).message })
  }
})

server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`listens on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})
