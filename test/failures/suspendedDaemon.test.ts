/** In a file of its own, because it takes as long as PostgreSQL takes to give the suspended daemon up. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { eventually } from "../support/eventually.ts"
import * as frozenFlush from "../support/frozenFlush.ts"
import { freshDatabase, valkeyShared } from "../support/Servers.ts"

it.live(
  "SIGSTOP for half a minute in a transaction: PostgreSQL ends it, another daemon goes on, and the first one comes back",
  () =>
    Effect.gen(function* () {
      const { accounts, frozen, flushing, other } = yield* frozenFlush.make("beforeCommit", 10)
      yield* accounts.publishAll(other.url, 5)
      const held = yield* frozenFlush.flush(other)
      assert.strictEqual(held.status, 503)
      assert.strictEqual(held.body._tag, "StoreUnavailable")
      yield* accounts.nothingIsLost
      yield* eventually(
        "the other daemon gets through",
        Effect.map(frozenFlush.flush(other), ({ status }) => status === 200),
        "70 seconds",
      )
      yield* frozen.signal("SIGCONT")
      // Its COMMIT comes too late. Whether it has flushed again by then or not is of no interest.
      assert.oneOf((yield* Fiber.join(flushing)).status, [200, 503])
      yield* accounts.publishAll(frozen.url, 5)
      assert.strictEqual((yield* frozenFlush.flush(frozen)).status, 200)
      yield* accounts.settle(frozen, other)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(valkeyShared, freshDatabase))),
  120_000,
)
