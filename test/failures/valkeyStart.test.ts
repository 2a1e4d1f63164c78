/** What is wrong with Valkey's configuration is refused at the start, and told when it changes later. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { vi } from "vitest"
import { ControlledValkey, controlledValkey, freshDatabase } from "../support/Servers.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Accounts from "../support/Accounts.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"

vi.setConfig({ testTimeout: 90_000 })

const servers = Layer.merge(controlledValkey, freshDatabase)

const readiness = (url: string) => Daemon.request("GET", `${url}/health/ready`)

const isOk = (url: string) =>
  eventually(
    "all is well",
    Effect.map(readiness(url), ({ body }) => body?.status === "ok"),
  )

it.live("a key of the wrong type is refused at start with exit code 78, and later told by its name", () =>
  Effect.gen(function* () {
    const raw = yield* rawClient((yield* ControlledValkey).url)
    yield* Effect.promise(() => raw.set("flush_messages", "somebody else's"))
    const refused = yield* Daemon.run()
    assert.strictEqual(yield* refused.exited, 78)
    assert.match(
      yield* refused.output,
      /flush_messages holds a string where a list belongs.*Rename or delete/,
    )
    yield* Effect.promise(() => raw.del("flush_messages"))

    const accounts = yield* Accounts.make()
    const daemon = yield* Daemon.startReady()
    yield* Effect.promise(() => raw.set("flush_private_messages", "somebody else's"))
    const { status, body } = yield* readiness(daemon.url)
    assert.strictEqual(status, 503)
    assert.match(body.problems.join(), /flush_private_messages holds a string where a list belongs/)
    const refusal = yield* accounts.publish(daemon.url, { queue: "private" })
    assert.strictEqual(refusal.status, 503)
    assert.match(refusal.body.reason, /^WRONGTYPE /)
    // The other queue does not suffer from it.
    yield* accounts.publishAll(daemon.url, 5)
    yield* Effect.promise(() => raw.del("flush_private_messages"))
    yield* isOk(daemon.url)
    yield* accounts.publishAll(daemon.url, 5, "private")
    yield* Daemon.request("POST", `${daemon.url}/flush`)
    yield* accounts.settle(daemon)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("allkeys-lru that is switched on later: readiness and status say at once what may be lost", () =>
  Effect.gen(function* () {
    const raw = yield* rawClient((yield* ControlledValkey).url)
    const accounts = yield* Accounts.make()
    const daemon = yield* Daemon.startReady()
    yield* isOk(daemon.url)
    yield* Effect.promise(() => raw.config("SET", "maxmemory-policy", "allkeys-lru"))
    const ready = yield* readiness(daemon.url)
    // Messages are taken as before: sending them away would lose more than what may be lost.
    assert.strictEqual(ready.status, 200)
    const status = yield* Daemon.request("GET", `${daemon.url}/status`)
    for (const { body } of [ready, status]) {
      assert.strictEqual(body.status, "degraded")
      assert.match(body.problems.join(), /maxmemory-policy is allkeys-lru: .* every message that waits/)
    }
    yield* accounts.publishAll(daemon.url, 5)
    yield* Effect.promise(() => raw.config("SET", "maxmemory-policy", "noeviction"))
    yield* isOk(daemon.url)
    yield* Daemon.request("POST", `${daemon.url}/flush`)
    yield* accounts.settle(daemon)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)
