/** Valkey runs out of something, or is not up to its work yet. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { Redis } from "iovalkey"
import { vi } from "vitest"
import { freePort } from "../../src/layers/ChildServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Accounts from "../support/Accounts.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import { ControlledValkey, controlledValkey, freshDatabase } from "../support/Servers.ts"
import * as SmallDisk from "../support/smallDisk.ts"
import { restartWith } from "../support/valkeyConfiguration.ts"

vi.setConfig({ testTimeout: 90_000 })

const servers = Layer.merge(controlledValkey, freshDatabase)

const readiness = (url: string) => Daemon.request("GET", `${url}/health/ready`)

const isReady = (url: string) =>
  eventually(
    "it is ready",
    Effect.map(readiness(url), ({ status }) => status === 200),
    "30 seconds",
  )

const large = { message: "x".repeat(3000) }

/** Publishes until Valkey refuses, and returns why. */
const fill = (accounts: Accounts.Accounts, url: string) =>
  accounts.publish(url, { fields: large }).pipe(
    Effect.repeat({ until: ({ status }) => status !== 202 }),
    Effect.tap(({ status, body }) =>
      Effect.sync(() => {
        assert.strictEqual(status, 503)
        assert.deepInclude(body, { _tag: "CacheUnavailable", execution: "refused" })
      }),
    ),
    Effect.map(({ body }) => body.reason as string),
  )

const fieldOf = (info: string, name: string): string =>
  new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]?.trim() ?? ""

const limitMemory = async (raw: Redis, spareBytes: number) => {
  const used = Number(fieldOf(await raw.info("memory"), "used_memory"))
  await raw.config("SET", "maxmemory", used + spareBytes)
}

it.live("maxmemory with noeviction: publishing is refused, flushing works, and makes the room for more", () =>
  Effect.gen(function* () {
    const raw = yield* rawClient((yield* ControlledValkey).url)
    const accounts = yield* Accounts.make()
    // Nothing is flushed before it is asked for.
    const daemon = yield* Daemon.startReady({ environment: { CHAT_CACHE_MAX_CACHE_SIZE: "100000" } })
    yield* Effect.promise(() => limitMemory(raw, 2_000_000))
    assert.match(yield* fill(accounts, daemon.url), /^OOM /)
    // What is too much with a large message may be enough for the question whether any is taken.
    yield* Effect.promise(() => limitMemory(raw, -100_000))
    const { status, body } = yield* readiness(daemon.url)
    assert.strictEqual(status, 503)
    assert.match(body.problems.join(), /OOM/)
    yield* accounts.nothingIsLost
    const flushed = yield* Daemon.request("POST", `${daemon.url}/flush`)
    assert.deepInclude(flushed.body.public, { remaining: 0, quarantined: 0 })
    yield* isReady(daemon.url)
    yield* accounts.publishAll(daemon.url, 5)
    yield* Daemon.request("POST", `${daemon.url}/flush`)
    yield* accounts.settle(daemon)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

/** Valkey runs as whoever runs the test. */
const ourselves = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

it.live.skipIf(!SmallDisk.canMount)(
  `the disk of the append-only file is full: publishing is refused, nothing is stored twice, and all goes on once there is room${
    SmallDisk.canMount ? "" : " (skipped: only root can mount the small disk that it needs)"
  }`,
  () =>
    Effect.gen(function* () {
      const disk = yield* SmallDisk.mount("3m", ourselves)
      yield* restartWith([`dir "${disk}"`])
      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady({ environment: { CHAT_CACHE_MAX_CACHE_SIZE: "100000" } })
      assert.match(yield* fill(accounts, daemon.url), /^MISCONF .*No space left on device/)
      const { status, body } = yield* readiness(daemon.url)
      assert.strictEqual(status, 503)
      assert.match(body.problems.join(), /cannot write its append-only file .* disk is full/)

      // PostgreSQL takes the batch, Valkey cannot let go of it, and the flusher waits longer each time.
      const flushed = yield* Daemon.request("POST", `${daemon.url}/flush`)
      assert.strictEqual(flushed.status, 503)
      assert.match(flushed.body.reason, /^MISCONF /)
      yield* accounts.nothingIsLost
      yield* SmallDisk.enlarge(disk, "64m")
      yield* isReady(daemon.url)
      yield* accounts.settle(daemon)
      const { body: report } = yield* Daemon.request("GET", `${daemon.url}/status`)
      assert.isAtMost(report.queues.public.batches, 10)
      yield* accounts.publishAll(daemon.url, 5)
    }).pipe(Effect.scoped, Effect.provide(servers)),
  60_000,
)

it.live(
  "LOADING, after Valkey was killed: readiness says so, and what was queued is flushed when it is up",
  () =>
    Effect.gen(function* () {
      const valkey = yield* ControlledValkey
      // Each command of the file is read slowly, and in between the server answers.
      yield* restartWith(["key-load-delay 1000", "loading-process-events-interval-bytes 1024"])
      const accounts = yield* Accounts.make()
      const daemon = yield* Daemon.startReady()
      yield* accounts.publishAll(daemon.url, 300)
      yield* valkey.kill
      yield* Effect.fork(valkey.start)
      yield* eventually(
        "readiness says that it is loading",
        Effect.map(
          readiness(daemon.url),
          ({ status, body }) => status === 503 && /not ready, as while it loads its data/.test(body.problems),
        ),
      )
      const { status, body } = yield* accounts.publish(daemon.url)
      assert.strictEqual(status, 503)
      assert.strictEqual(body.execution, "refused")
      yield* isReady(daemon.url)
      yield* accounts.nothingIsLost
      assert.deepInclude((yield* Daemon.request("POST", `${daemon.url}/flush`)).body.public, {
        persisted: 300,
      })
      yield* accounts.settle(daemon)
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("CLUSTERDOWN, while nobody serves the slot of the keys: refused, and over when somebody does", () =>
  Effect.gen(function* () {
    yield* restartWith(["cluster-enabled yes", `cluster-port ${yield* freePort("Valkey")}`])
    const raw = yield* rawClient((yield* ControlledValkey).url)
    const accounts = yield* Accounts.make("{chat}:")
    const daemon = yield* Daemon.start({
      environment: { CHAT_CACHE_KEY_PREFIX: "{chat}:", CHAT_CACHE_FLUSH_INTERVAL: "200 millis" },
    })
    const { status, body } = yield* accounts.publish(daemon.url)
    assert.strictEqual(status, 503)
    assert.strictEqual(body.execution, "refused")
    assert.match(body.reason, /^CLUSTERDOWN /)
    assert.match((yield* readiness(daemon.url)).body.problems.join(), /CLUSTERDOWN/)
    yield* Effect.promise(() => raw.cluster("ADDSLOTSRANGE", 0, 16383))
    yield* isReady(daemon.url)
    yield* accounts.publishAll(daemon.url, 20)
    yield* accounts.settle(daemon)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)
