/** The daemon dies at the points of a flush that matter, and the next one puts everything right. */
import { assert, it } from "@effect/vitest"
import { encodePayload } from "../../src/domain/Entry.ts"
import { Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { vi } from "vitest"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Accounts from "../support/Accounts.ts"
import * as Daemon from "../support/DaemonProcess.ts"
import { at, type FaultPoint } from "../support/faultPoint.ts"
import { freshDatabase, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

vi.setConfig({ testTimeout: 90_000 })

const batch = 10
const good = 19
const bad = 1

/** What is where when the daemon has died in its first batch, of which one entry cannot be stored. */
const points: ReadonlyArray<readonly [string, FaultPoint, Accounts.Places]> = [
  ["after reading", "afterReading", { stored: 0, quarantined: 0, queued: good + bad }],
  ["while its rows are copied", "whileCopying", { stored: 0, quarantined: 0, queued: good + bad }],
  [
    "between the rows and the quarantine",
    "betweenInserts",
    { stored: 0, quarantined: 0, queued: good + bad },
  ],
  ["before COMMIT", "beforeCommit", { stored: 0, quarantined: 0, queued: good + bad }],
  [
    "between COMMIT and acknowledge",
    "beforeAcknowledge",
    { stored: batch - bad, quarantined: bad, queued: good + bad },
  ],
  [
    "after the acknowledgement",
    "afterAcknowledge",
    { stored: batch - bad, quarantined: bad, queued: good + bad - batch },
  ],
]

/** An entry by another door that says who it is, and cannot be stored. */
const queueBadEntry = (keyPrefix: string) =>
  Effect.gen(function* () {
    const messageId = randomUUID()
    const raw = yield* rawClient((yield* ValkeyServer).url)
    const entry = encodePayload({ cache_id: 1, data: { message_id: messageId, channel: 5 } })
    yield* Effect.promise(() => raw.rpush(`${keyPrefix}flush_messages`, entry))
    return messageId
  }).pipe(Effect.scoped)

const total = (places: ReadonlyMap<string, Accounts.Places>, place: keyof Accounts.Places) =>
  [...places.values()].reduce((sum, found) => sum + found[place], 0)

it.live.each(points)(
  "kill -9 %s: the next daemon loses nothing and stores nothing twice",
  ([, point, left]) =>
    Effect.gen(function* () {
      const keyPrefix = yield* uniqueKeyPrefix
      const accounts = yield* Accounts.make(keyPrefix)
      const environment = { CHAT_CACHE_KEY_PREFIX: keyPrefix, CHAT_CACHE_FLUSH_BATCH_SIZE: String(batch) }
      const doomed = yield* Daemon.startReady({ environment: { ...environment, ...at(point, "SIGKILL") } })
      yield* accounts.enter("accepted", [yield* queueBadEntry(keyPrefix)])
      yield* accounts.publishAll(doomed.url, good)
      yield* Daemon.request("POST", `${doomed.url}/flush`)
      assert.strictEqual(yield* doomed.exited, "SIGKILL")
      const places = yield* accounts.places
      assert.deepStrictEqual(
        {
          stored: total(places, "stored"),
          quarantined: total(places, "quarantined"),
          queued: total(places, "queued"),
        },
        left,
      )
      yield* accounts.nothingIsLost

      const next = yield* Daemon.start({
        environment: { ...environment, CHAT_CACHE_FLUSH_INTERVAL: "200 millis" },
      })
      yield* accounts.settle(doomed, next)
      assert.strictEqual(total(yield* accounts.places, "quarantined"), bad)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(valkeyShared, freshDatabase))),
)
