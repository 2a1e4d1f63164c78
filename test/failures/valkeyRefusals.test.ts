/** Valkey answers and refuses: callers are told that nothing was executed, and why, and all is well afterwards. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { Redis } from "iovalkey"
import { vi } from "vitest"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Accounts from "../support/Accounts.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import { ControlledValkey, controlledValkey, freshDatabase } from "../support/Servers.ts"

vi.setConfig({ testTimeout: 90_000 })

interface Refusal {
  readonly begin: (raw: Redis) => Promise<unknown>
  readonly end: (raw: Redis) => Promise<unknown>
  /** What publishers are told. */
  readonly answer: RegExp
  /** What readiness says. */
  readonly problem: RegExp
}

const refusals: ReadonlyArray<readonly [string, Refusal]> = [
  [
    "READONLY, after a failover that left the daemon with a replica",
    {
      begin: (raw) => raw.call("replicaof", "127.0.0.1", "1"),
      end: (raw) => raw.call("replicaof", "no", "one"),
      answer: /READONLY/,
      problem: /replica of 127\.0\.0\.1:1 .* Point VALKEY_URL to the primary/,
    },
  ],
  [
    "NOREPLICAS, while too few replicas are connected",
    {
      begin: (raw) => raw.config("SET", "min-replicas-to-write", 1),
      end: (raw) => raw.config("SET", "min-replicas-to-write", 0),
      answer: /NOREPLICAS/,
      problem: /NOREPLICAS/,
    },
  ],
  [
    "BUSY, while somebody's script does not end",
    {
      begin: async (raw) => {
        await raw.config("SET", "busy-reply-threshold", 20)
        const other = raw.duplicate()
        other.eval("while true do end", 0).catch(() => other.disconnect())
      },
      end: (raw) => raw.script("KILL"),
      answer: /BUSY/,
      problem: /BUSY/,
    },
  ],
  [
    "maxclients, when others have taken every connection",
    {
      begin: async (raw) => {
        await raw.config("SET", "maxclients", 1)
        await raw.call("client", "KILL", "TYPE", "normal", "SKIPME", "yes")
      },
      end: (raw) => raw.config("SET", "maxclients", 100),
      answer: /not connected: .*maxclients/,
      problem: /cannot be reached since .*maxclients/,
    },
  ],
]

const readiness = (url: string) => Daemon.request("GET", `${url}/health/ready`)

/** With messages queued, so that publishers, readers, the flusher and the health check all meet the refusal. */
const meets = ({ begin, end, answer, problem }: Refusal) =>
  Effect.gen(function* () {
    const raw = yield* rawClient((yield* ControlledValkey).url)
    const accounts = yield* Accounts.make()
    const daemon = yield* Daemon.startReady()
    yield* accounts.publishAll(daemon.url, 20)
    yield* accounts.publishAll(daemon.url, 5, "private")
    yield* Effect.promise(() => begin(raw))
    yield* eventually(
      "publishers are told what is wrong, and that nothing was executed",
      Effect.map(
        accounts.publish(daemon.url),
        ({ status, body }) => status === 503 && body.execution === "refused" && answer.test(body.reason),
      ),
    )
    yield* eventually(
      "readiness says it",
      Effect.map(readiness(daemon.url), ({ status, body }) => status === 503 && problem.test(body.problems)),
    )
    assert.strictEqual((yield* Daemon.request("GET", `${daemon.url}/health/live`)).status, 200)
    assert.strictEqual((yield* Daemon.request("POST", `${daemon.url}/flush`)).status, 503)

    yield* Effect.promise(() => end(raw))
    yield* eventually(
      "it is ready again",
      Effect.map(readiness(daemon.url), ({ status }) => status === 200),
    )
    // The flush that failed is tried again without anybody's help.
    yield* accounts.settle(daemon)
    yield* accounts.publishAll(daemon.url, 1)
  })

it.live.each(refusals)("%s: refused, said, and over without a restart", ([, refusal]) =>
  meets(refusal).pipe(Effect.scoped, Effect.provide(Layer.merge(controlledValkey, freshDatabase))),
)
