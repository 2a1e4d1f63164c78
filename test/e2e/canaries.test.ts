/**
 * Secrets that nobody may ever see in a log or in an answer: texts of messages, the token, the passwords of both
 * servers. The daemon, telling all it ever tells, is driven through what succeeds and what fails, and everything that
 * came out of it is searched.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Redis } from "iovalkey"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import {
  ControlledPostgres,
  controlledPostgres,
  ControlledValkey,
  controlledValkey,
  query,
} from "../support/Servers.ts"

const canaries = {
  text: "canary-text-9f2c",
  privateText: "canary-private-41d7",
  quarantined: "canary-quarantined-c3e8",
  token: "canary-token-7ab1",
  guess: "canary-guess-52f0",
}

interface Answer {
  readonly path: string
  readonly status: number
  readonly text: string
}

const ask = (url: string, answers: Array<Answer>) =>
  Effect.fnUntraced(function* (
    method: string,
    path: string,
    options: { readonly body?: string | undefined; readonly token?: string; readonly type?: string } = {},
  ) {
    const { body, token = canaries.token, type = "application/json" } = options
    const answer = yield* Effect.promise(async (): Promise<Answer> => {
      try {
        const response = await fetch(`${url}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${token}`,
            ...(body === undefined ? {} : { "content-type": type }),
          },
          ...(body === undefined ? {} : { body }),
        })
        const headers = [...response.headers].flat().join("\n")
        return { path, status: response.status, text: `${headers}\n${await response.text()}` }
      } catch {
        return { path, status: 0, text: "" }
      }
    })
    answers.push(answer)
    return answer
  })

const draft = (fields: Record<string, unknown> = {}) =>
  JSON.stringify({ owner_id: "1", username: "ada", channel: "general", message: canaries.text, ...fields })

const privateDraft = JSON.stringify({
  owner_id: "1",
  username: "ada",
  recipient_id: "2",
  recipient: "bob",
  message: canaries.privateText,
})

/** What is answered only with what somebody has written: the routes that are there to show it. */
const showsMessages = /^\/(?:messages\/recent|private-messages\/recent|quarantine)/

const badRequests: ReadonlyArray<readonly [string, string, string | undefined, string?]> = [
  ["POST", "/messages", `{"message":"${canaries.text}"`],
  ["POST", "/messages", `"${canaries.text}"`],
  ["POST", "/messages", draft({ channel: `${canaries.text}-is-too-long-for-a-channel` })],
  ["POST", "/messages", draft({ message_id: canaries.text, authored_at: canaries.text })],
  ["POST", "/messages", draft({ message: { canary: canaries.text } })],
  ["POST", "/messages", canaries.text.padEnd(2 * 1024 * 1024, canaries.text)],
  ["POST", "/messages", canaries.text, "text/plain"],
  ["POST", "/messages/batch", `{"messages":"${canaries.text}"}`],
  ["POST", "/messages/batch", `{"messages":["${canaries.text}",${draft({ owner_id: "" })}]}`],
  ["PUT", "/rate-limit", `{"message_limit":"${canaries.text}"}`],
  ["GET", `/quarantine?queue=${canaries.text}`, undefined],
  ["GET", `/messages/recent?limit=${canaries.text}`, undefined],
  ["GET", `/events?after=${canaries.text}`, undefined],
  // Paths are in the log at debug.
  ["GET", "/nowhere", undefined],
  ["DELETE", "/messages/1", undefined],
]

it.scopedLive(
  "no text, token or password leaves the daemon but in the answers that are there to show it",
  () =>
    Effect.gen(function* () {
      const valkey = yield* ControlledValkey
      const postgres = yield* ControlledPostgres
      // Passwords of their own, so that they can be told from everything else.
      const passwords = [valkey.url, postgres.url].map((url) => new URL(Redacted.value(url)).password)
      for (const password of passwords) assert.isNotEmpty(password)
      const commands = <A>(use: (client: Redis) => Promise<A>) =>
        Effect.promise(async () => {
          const client = new Redis(Redacted.value(valkey.url))
          client.on("error", () => {})
          try {
            return await use(client)
          } finally {
            client.disconnect()
          }
        })
      const daemon = yield* Daemon.start({
        environment: {
          CHAT_CACHE_API_TOKEN: canaries.token,
          CHAT_CACHE_MESSAGE_LIMIT: "1000",
          CHAT_CACHE_LOG_LEVEL: "trace",
        },
      })
      const answers: Array<Answer> = []
      const send = ask(daemon.url, answers)
      const until = (what: string, path: string, text: string) =>
        eventually(
          what,
          Effect.map(send("GET", path), (answer) => answer.text.includes(text)),
          "40 seconds",
        )

      // What succeeds.
      yield* until("it is ready", "/health/ready", '"status":"ok"')
      assert.strictEqual((yield* send("POST", "/messages", { body: draft() })).status, 202)
      assert.strictEqual((yield* send("POST", "/private-messages", { body: privateDraft })).status, 202)
      yield* send("POST", "/messages/batch", { body: `{"messages":[${draft()}]}` })
      assert.include((yield* send("GET", "/messages/recent")).text, canaries.text)
      assert.include((yield* send("GET", "/private-messages/recent/2")).text, canaries.privateText)
      yield* send("POST", "/flush")
      for (const path of ["/status", "/rate-limit", "/metrics", "/openapi.json", "/docs"])
        yield* send("GET", path)

      // Who may not, and what is no request.
      assert.strictEqual((yield* send("GET", "/status", { token: canaries.guess })).status, 401)
      for (const [method, path, body, type] of badRequests) {
        const { status } = yield* send(method, path, { body, ...(type === undefined ? {} : { type }) })
        assert.isTrue(status >= 400 || path === "/messages/batch", `${method} ${path} ${status}`)
      }

      // Poison, and messages that PostgreSQL refuses.
      yield* query(
        postgres.url,
        `CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
           IF NEW.channel = 'refused' THEN RAISE EXCEPTION 'no: %', NEW.message USING ERRCODE = '23514'; END IF;
           RETURN NEW;
         END $$ LANGUAGE plpgsql;
         CREATE TRIGGER refuse BEFORE INSERT ON chat_messages FOR EACH ROW EXECUTE FUNCTION refuse()`,
      )
      yield* send("POST", "/messages", { body: draft({ channel: "refused" }) })
      yield* commands((client) =>
        client.rpush(
          "flush_messages",
          canaries.quarantined,
          `{"cache_id":9,"data":{"message":"${canaries.quarantined}"}}`,
          Buffer.from([0xff, ...Buffer.from(canaries.quarantined)]),
        ),
      )
      yield* commands((client) => client.rpush("recent_messages", canaries.quarantined))
      yield* send("GET", "/messages/recent")
      yield* send("POST", "/flush")
      assert.include((yield* send("GET", "/quarantine")).text, canaries.quarantined)
      yield* send("POST", "/quarantine/1/replay")
      yield* send("POST", "/quarantine/2/replay", { body: draft({ owner_id: "" }) })
      yield* send("DELETE", "/quarantine/1")

      // A table that is not what it should be.
      yield* query(postgres.url, "ALTER TABLE chat_messages RENAME COLUMN message TO elsewhere")
      yield* send("POST", "/messages", { body: draft() })
      yield* send("POST", "/flush")
      yield* query(postgres.url, "ALTER TABLE chat_messages RENAME COLUMN elsewhere TO message")

      // A queue that is no list, and servers that are away.
      yield* commands(async (client) => {
        await client.rename("recent_messages", "kept")
        await client.set("recent_messages", canaries.text)
      })
      yield* send("POST", "/messages", { body: draft() })
      yield* send("GET", "/messages/recent")
      yield* commands((client) => client.rename("kept", "recent_messages"))
      yield* postgres.stop
      yield* send("POST", "/messages", { body: draft() })
      yield* send("POST", "/flush")
      yield* valkey.pause
      yield* Effect.all([send("POST", "/messages", { body: draft() }), send("GET", "/status")], {
        concurrency: 2,
      })
      yield* valkey.resume
      yield* valkey.kill
      yield* send("POST", "/messages", { body: draft() })
      yield* send("POST", "/messages/batch", { body: `{"messages":[${draft()}]}` })
      yield* send("GET", "/status")
      yield* send("GET", "/health/ready")
      yield* valkey.start
      yield* postgres.start
      yield* eventually(
        "messages are taken again",
        Effect.map(send("GET", "/health/ready"), ({ status }) => status === 200),
        "40 seconds",
      )
      yield* daemon.signal("SIGTERM")
      yield* daemon.exited

      const output = yield* daemon.output
      assert.include(output, "POST /messages 202 in ", "it does not tell everything")
      const events = (yield* query(postgres.url, "SELECT data::text FROM events"))
        .map((row) => row["data"])
        .join("\n")
      const secrets = [...Object.values(canaries), ...passwords]
      for (const secret of secrets) {
        for (const written of [secret, Buffer.from(secret).toString("base64"), encodeURIComponent(secret)]) {
          const lines = output.split("\n").filter((line) => line.includes(written))
          assert.deepStrictEqual(lines, [])
          assert.notInclude(events, written)
          for (const { path, status, text } of answers) {
            const mayShow =
              status === 200 && showsMessages.test(path) && ![...passwords, canaries.token].includes(secret)
            if (!mayShow) assert.notInclude(text, written, path)
          }
        }
      }
    }).pipe(Effect.provide(Layer.merge(controlledValkey, controlledPostgres))),
  120_000,
)

it.scopedLive(
  "a start that fails tells no password",
  () =>
    Effect.gen(function* () {
      const password = "canary-password-1b6e"
      for (const environment of [
        { VALKEY_URL: `http://:${password}@127.0.0.1:1` },
        { VALKEY_URL: `valkey://:${password}@127.0.0.1:1/x?y=z` },
        { DATABASE_URL: `mysql://u:${password}@127.0.0.1:1/d` },
        { DATABASE_URL: `postgres://u:${password}` },
        { CHAT_CACHE_API_TOKEN: password, CHAT_CACHE_HOST: "192.0.2.1" },
      ]) {
        const daemon = yield* Daemon.run({ environment })
        const code = yield* daemon.exited
        assert.oneOf(code, [1, 78])
        assert.notInclude(yield* daemon.output, password)
      }
    }).pipe(
      Effect.provide(
        Layer.merge(
          Layer.succeed(ValkeyServer, { url: Redacted.make("valkey://127.0.0.1:1") }),
          Layer.succeed(PostgresServer, { url: Redacted.make("postgres://127.0.0.1:1/d") }),
        ),
      ),
    ),
  90_000,
)
