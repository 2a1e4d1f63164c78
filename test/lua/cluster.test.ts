import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as fs from "node:fs/promises"
import { freePort } from "../../src/layers/ChildServer.ts"
import * as FlushQueueValkey from "../../src/layers/FlushQueueValkey.ts"
import * as MessageCacheValkey from "../../src/layers/MessageCacheValkey.ts"
import * as RateLimitStoreValkey from "../../src/layers/RateLimitStoreValkey.ts"
import * as ValkeyLayer from "../../src/layers/valkey/Valkey.ts"
import { FlushQueue } from "../../src/services/FlushQueue.ts"
import { MessageCache } from "../../src/services/MessageCache.ts"
import { RateLimitStore } from "../../src/services/RateLimitStore.ts"
import type { CachedPublicMessage } from "../../src/domain/Message.ts"
import { publicMessage } from "../contracts/StoreBackend.ts"
import { publication, settingsLayer } from "../contracts/CacheBackend.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import { ControlledValkey, controlledValkey } from "../support/Servers.ts"
import { eventually } from "../support/eventually.ts"

/** Makes of the server a cluster of one, which owns all slots. */
const becomeCluster = Effect.scoped(
  Effect.gen(function* () {
    const server = yield* ControlledValkey
    yield* Effect.scoped(
      Effect.gen(function* () {
        const raw = yield* rawClient(server.url)
        const info = yield* Effect.promise(() => raw.info("server"))
        const configurationFile = /^config_file:(.*)$/m.exec(info)?.[1]?.trim() ?? ""
        // Its default, the port and 10,000, is among those that systems give to outgoing connections.
        const busPort = yield* freePort("Valkey")
        yield* Effect.promise(() =>
          fs.appendFile(configurationFile, `cluster-enabled yes\ncluster-port ${busPort}\n`),
        )
      }),
    )
    yield* server.stop
    yield* server.start
    const raw = yield* rawClient(server.url)
    yield* Effect.promise(() => raw.cluster("ADDSLOTSRANGE", 0, 16383))
    yield* eventually(
      "the cluster is complete",
      Effect.promise(async () => (await raw.cluster("INFO")).includes("cluster_state:ok")),
    )
  }),
)

const ports = (keyPrefix: string) =>
  Layer.build(
    Layer.mergeAll(MessageCacheValkey.layer, FlushQueueValkey.layer, RateLimitStoreValkey.layer).pipe(
      Layer.provide(ValkeyLayer.layer),
      Layer.provide(settingsLayer({ keyPrefix })),
    ),
  )

const everything = { entries: 100, bytes: 100_000 }

it.live("every script is legal on a cluster when the prefix has a hash tag", () =>
  Effect.gen(function* () {
    yield* becomeCluster
    const context = yield* ports("{chat}:")
    const cache = Context.get(context, MessageCache)
    const flushQueue = Context.get(context, FlushQueue)
    const rateLimits = Context.get(context, RateLimitStore)
    for (const queue of ["public", "private"] as const) {
      yield* flushQueue.raiseCounter(queue, 0)
      yield* cache.append(queue, [publication(1, "ann", "bob"), publication(2, "bob", "{cleo}")])
      expect(yield* flushQueue.nextCacheId(queue)).toBe(3)
      const head = yield* flushQueue.head(queue, everything)
      expect(yield* flushQueue.acknowledge(queue, head.slice(0, 1))).toBe(1)
      expect(yield* flushQueue.acknowledge(queue, head)).toBe(1)
    }
    yield* cache.append("public", [{ ...publication(4, "ann"), channel: "{a}:{b}" }])
    const [first] = yield* cache.recentOfChannel("{a}:{b}")
    const older = [publicMessage(1) as CachedPublicMessage]
    expect(yield* cache.prependToChannel("{a}:{b}", first, older)).toBe(true)
    expect((yield* cache.recentOfChannel("{a}:{b}")).length).toBe(2)
    const page = yield* flushQueue.page("public", { direction: "before", from: undefined }, everything)
    expect(page.entries).toEqual([first])
    yield* rateLimits.apply({ message_limit: 1, window_seconds: 5 }, 1)
    expect(yield* cache.clearAllPrivate).toBe(3)

    const without = Context.get(yield* ports(""), MessageCache)
    expect(yield* Effect.flip(without.append("public", [publication(1, "ann")]))).toMatchObject({
      _tag: "CacheUnavailable",
      execution: "refused",
      reason: expect.stringMatching(/^CROSSSLOT /),
    })
  }).pipe(Effect.scoped, Effect.provide(controlledValkey)),
)
