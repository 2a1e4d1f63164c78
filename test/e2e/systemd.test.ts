/** What systemd is told by a daemon that it has started, and the units that are delivered. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { inject } from "vitest"
import { randomUUID } from "node:crypto"
import * as DatagramReceiver from "../support/datagramReceiver.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { eventually } from "../support/eventually.ts"
import { controlledValkey, freshDatabase } from "../support/Servers.ts"

const has = (program: string): boolean => spawnSync(program, ["--version"]).status === 0

const servers = Layer.merge(controlledValkey, freshDatabase)

it.live.skipIf(!DatagramReceiver.isAvailable || !has("systemd-notify"))(
  "tells systemd when it serves, how it goes, that it is alive, and that it stops (skipped without Perl and systemd-notify)",
  () =>
    Effect.gen(function* () {
      const socket = path.join(inject("temporaryDirectory"), `notify-${randomUUID()}`)
      const messages = yield* DatagramReceiver.listen(socket)
      const daemon = yield* Daemon.start({
        environment: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "3000000" },
      })
      yield* eventually(
        "systemd knows that it serves and is alive, and how long its queues are",
        Effect.map(messages, (received) => {
          const text = received.join("\n")
          return (
            /^READY=1/m.test(text) &&
            /^STATUS=ok; public: 0 queued; private: 0 queued/m.test(text) &&
            (text.match(/^WATCHDOG=1/gm) ?? []).length >= 2
          )
        }),
      )
      const beforeReady = (yield* messages).findIndex((message) => message.startsWith("READY=1"))
      assert.strictEqual(beforeReady, 0, "nothing is told before it serves")
      assert.isFalse((yield* messages).some((message) => message.startsWith("STOPPING=1")))
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.exited, 0, yield* daemon.output)
      assert.isTrue((yield* messages).some((message) => message.startsWith("STOPPING=1")))
    }).pipe(Effect.scoped, Effect.provide(servers)),
)

it.live("goes on without a systemd that cannot be told, and says so once", () =>
  Effect.gen(function* () {
    const daemon = yield* Daemon.start({
      environment: { NOTIFY_SOCKET: "/nowhere/notify", WATCHDOG_USEC: "300000" },
    })
    yield* eventually(
      "the failure is reported",
      Effect.map(daemon.output, (output) => output.includes("systemd cannot be notified")),
    )
    assert.strictEqual((yield* Daemon.request("GET", `${daemon.url}/health/live`)).status, 200)
    yield* daemon.signal("SIGTERM")
    assert.strictEqual(yield* daemon.exited, 0)
    const told = (yield* daemon.output).match(/systemd cannot be notified/g)
    assert.strictEqual(told?.length, 1)
  }).pipe(Effect.scoped, Effect.provide(servers)),
)

const units = fileURLToPath(new URL("../../systemd/", import.meta.url))

const readUnit = (name: string) => Effect.promise(() => fs.readFile(path.join(units, name), "utf8"))

const valueOf = (unit: string, name: string): number =>
  Number(new RegExp(`^${name}=(\\d+)$`, "m").exec(unit)?.[1])

/** With a program that this machine has: whether the one of the unit is there, is not what is asked. */
const runnable = (unit: string): string =>
  unit.replace(/^ExecStart=.*$/m, `ExecStart=${process.execPath} /dev/null`)

const analyze = (unit: string, name: string, args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const directory = await fs.mkdtemp(path.join(inject("temporaryDirectory"), "units-"))
    const file = path.join(directory, name)
    await fs.writeFile(file, runnable(unit))
    const { status, stdout, stderr } = spawnSync("systemd-analyze", [...args, file], { encoding: "utf8" })
    return { status, output: stdout + stderr }
  })

for (const name of ["chat-cache.service", "chat-cache@.service"]) {
  it.live.skipIf(!has("systemd-analyze"))(
    `${name} is a unit that systemd understands, and hardly exposes anything (skipped without systemd-analyze)`,
    () =>
      Effect.gen(function* () {
        const unit = yield* readUnit(name)
        const instance = name.replace("@", "@first")
        const verified = yield* analyze(unit, instance, ["verify"])
        assert.deepStrictEqual(verified, { status: 0, output: "" })
        const { output } = yield* analyze(unit, name, ["security", "--offline=true"])
        const exposure = Number(/exposure level .*: ([\d.]+)/.exec(output)?.[1])
        assert.isAtMost(exposure, 1.5, output)
      }),
  )
}

it.live("both units are one, apart from where an instance has its files", () =>
  Effect.gen(function* () {
    const one = yield* readUnit("chat-cache.service")
    const many = yield* readUnit("chat-cache@.service")
    const settingsOf = (unit: string) => unit.slice(unit.indexOf("[Unit]"))
    assert.strictEqual(
      settingsOf(many)
        .replace("chat-cache %i:", "chat-cache:")
        .replaceAll("/etc/chat-cache/%i/", "/etc/chat-cache/"),
      settingsOf(one),
    )
  }),
)

it.live("systemd waits longer for the end than the daemon takes for it", () =>
  Effect.gen(function* () {
    const unit = yield* readUnit("chat-cache.service")
    assert.isAbove(valueOf(unit, "TimeoutStopSec"), 25)
    assert.isAbove(valueOf(unit, "WatchdogSec"), valueOf(unit, "TimeoutStopSec"))
  }),
)
