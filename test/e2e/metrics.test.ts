/** What a monitoring system sees of a daemon, and what it is given to look at it with. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { parse } from "yaml"
import { Redis } from "iovalkey"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import * as PrometheusText from "../support/prometheusText.ts"
import { controlledValkey, freshDatabase, query } from "../support/Servers.ts"

const servers = Layer.merge(controlledValkey, freshDatabase)

const message = {
  owner_id: "owner-8731",
  username: "ada-8731",
  channel: "channel-8731",
  message: "said-8731",
}

/** As another program does. */
const push = (entry: string) =>
  Effect.flatMap(ValkeyServer, ({ url }) =>
    Effect.promise(async () => {
      const client = new Redis(Redacted.value(url))
      await client.rpush("flush_messages", entry)
      client.disconnect()
    }),
  )

const scrape = (url: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/metrics`)
    assert.strictEqual(response.status, 200)
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
    const text = await response.text()
    return { text, ...PrometheusText.parse(text) }
  })

const monitoring = (file: string): string =>
  fs.readFileSync(new URL(`../../monitoring/${file}`, import.meta.url), "utf8")

const labels = ["queue", "reason", "script", "cache", "result", "server", "le"]

it.live("metrics tell of every message: taken, refused, stored, quarantined, read", () =>
  Effect.gen(function* () {
    const { url } = yield* Daemon.start({ environment: { CHAT_CACHE_MESSAGE_LIMIT: "3" } })
    yield* eventually(
      "it is ready",
      Effect.map(Daemon.request("GET", `${url}/health/ready`), ({ body }) => body?.status === "ok"),
    )
    const before = yield* scrape(url)
    for (const queue of ["public", "private"]) {
      assert.strictEqual(
        PrometheusText.valueOf(before, "chat_cache_published_messages_total", { queue }),
        0,
        "counters are there before they count, so that a rate sees the first of them",
      )
    }
    for (let count = 0; count < 4; count++) yield* Daemon.request("POST", `${url}/messages`, message)
    yield* Daemon.request("POST", `${url}/messages`, { ...message, channel: "" })
    yield* Daemon.request("GET", `${url}/messages/recent`)
    yield* Daemon.request("GET", `${url}/messages/recent?channel=${message.channel}`)
    yield* Daemon.request("GET", `${url}/private-messages/recent/nobody`)
    const queued = yield* scrape(url)
    const of = (exposition: PrometheusText.Exposition) => (name: string, given: Record<string, string>) =>
      PrometheusText.valueOf(exposition, `chat_cache_${name}`, given)
    const isQueued = of(queued)
    const queue = "public"
    assert.strictEqual(isQueued("published_messages_total", { queue }), 3)
    assert.strictEqual(isQueued("refused_messages_total", { queue, reason: "RateLimited" }), 1)
    assert.strictEqual(isQueued("refused_messages_total", { queue, reason: "InvalidMessage" }), 1)
    assert.strictEqual(isQueued("queue_messages", { queue }), 3)
    assert.isAbove(isQueued("oldest_queued_message_age_seconds", { queue })!, 0)
    assert.strictEqual(isQueued("publish_batch_messages_sum", { queue }), 4)
    assert.isAtLeast(isQueued("publish_seconds_count", { queue })!, 1)
    assert.isAtLeast(isQueued("script_seconds_count", { script: "publishMessages-3" })!, 4)
    assert.strictEqual(isQueued("recent_reads_total", { cache: "public", result: "hit" }), 1)
    assert.strictEqual(isQueued("recent_reads_total", { cache: "channel", result: "hit" }), 1)
    assert.strictEqual(isQueued("recent_reads_total", { cache: "private", result: "miss" }), 1)
    assert.strictEqual(isQueued("server_up", { server: "valkey" }), 1)
    assert.strictEqual(isQueued("server_up", { server: "postgresql" }), 1)

    yield* push("poison")
    yield* Daemon.request("POST", `${url}/flush`)
    const flushed = of(yield* scrape(url))
    assert.strictEqual(flushed("persisted_messages_total", { queue }), 3)
    assert.strictEqual(flushed("quarantined_messages_total", { queue }), 1)
    assert.strictEqual(flushed("open_quarantine_entries", { queue }), 1)
    assert.strictEqual(flushed("flush_batch_messages_sum", { queue }), 4)
    assert.isAtLeast(flushed("flush_seconds_count", { queue })!, 1)
    assert.strictEqual(flushed("queue_messages", { queue }), 0)
    assert.strictEqual(flushed("oldest_queued_message_age_seconds", { queue }), 0)

    const { url: database } = yield* PostgresServer
    yield* query(database, "ALTER TABLE chat_messages RENAME TO elsewhere")
    yield* Daemon.request("POST", `${url}/messages`, { ...message, owner_id: "owner-8732" })
    yield* Daemon.request("POST", `${url}/flush`)
    const failing = of(yield* scrape(url))
    assert.isAtLeast(failing("flush_failures_total", { queue, reason: "StoreMisconfigured" })!, 1)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("no label holds what people chose, and every name is ours, typed and with its unit", () =>
  Effect.gen(function* () {
    const { url } = yield* Daemon.start()
    yield* Daemon.request("POST", `${url}/messages`, message)
    const { series, types, text } = yield* scrape(url)
    for (const said of Object.values(message)) assert.notInclude(text, said)
    for (const { name, labels: given } of series.filter((one) => one.name !== "target_info")) {
      assert.match(name, /^chat_cache_/)
      assert.includeMembers(labels, Object.keys(given), name)
    }
    for (const [name, type] of Object.entries(types)) {
      if (type === "counter") assert.match(name, /_total$/)
      assert.match(name, /_(total|seconds|messages|entries|up|info)$/)
    }
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("the dashboard and the alerts name what the daemon exports, and every alert is explained", () =>
  Effect.gen(function* () {
    const { url } = yield* Daemon.start()
    yield* Daemon.request("POST", `${url}/messages`, message)
    const exported = new Set((yield* scrape(url)).series.map(({ name }) => name))
    // JSON is YAML, too.
    const dashboard = parse(monitoring("grafana-dashboard.json")) as {
      readonly panels: ReadonlyArray<{ readonly targets: ReadonlyArray<{ readonly expr: string }> }>
    }
    const alerts = parse(monitoring("alerts.yml")) as {
      readonly groups: ReadonlyArray<{
        readonly rules: ReadonlyArray<{ readonly alert: string; readonly expr: string }>
      }>
    }
    const rules = alerts.groups.flatMap((group) => group.rules)
    const expressions = [
      ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
      ...rules.map(({ expr }) => expr),
    ]
    const named = new Set(expressions.flatMap((text) => text.match(/chat_cache_\w+/g) ?? []))
    assert.isAbove(named.size, 15)
    for (const name of named) assert.isTrue(exported.has(name), `${name} is not exported`)
    const operations = fs.readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8")
    for (const { alert } of rules) assert.include(operations, alert)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0

it.skipIf(!hasPromtool)("Prometheus understands the alerts (skipped without promtool)", () => {
  const file = fileURLToPath(new URL("../../monitoring/alerts.yml", import.meta.url))
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "rules", file], { encoding: "utf8" })
  assert.strictEqual(status, 0, stdout + stderr)
})
