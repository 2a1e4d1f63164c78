import { Effect, Redacted, type Scope } from "effect"
import { Redis } from "iovalkey"

/** A plain client of the test's own, to prepare and to inspect what the layers under test work on. */
export const rawClient = (url: Redacted.Redacted<string>): Effect.Effect<Redis, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Redis(Redacted.value(url), { lazyConnect: true })
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.sync(() => client.disconnect()),
  )
