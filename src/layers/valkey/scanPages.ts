import { Effect } from "effect"
import type { CacheUnavailable } from "../../domain/Errors.ts"
import type { Valkey } from "../../services/Valkey.ts"

/** Keys that one step looks at. The server does nothing else meanwhile, so it is kept well below a millisecond. */
export const stepSize = 1000

/**
 * Finds keys in steps that do not block the server, and hands each step's finds to `use`. A key that is there all the
 * time is found at least once, possibly several times.
 *
 * @param pattern a glob, as of SCAN MATCH
 */
export const scanPages = <A>(
  valkey: typeof Valkey.Service,
  operation: string,
  pattern: string,
  use: (keys: ReadonlyArray<string>) => Effect.Effect<A, CacheUnavailable>,
): Effect.Effect<void, CacheUnavailable> =>
  Effect.gen(function* () {
    let cursor = "0"
    do {
      const reply = yield* valkey.send(operation, ["scan", cursor, "MATCH", pattern, "COUNT", stepSize])
      const [next, keys] = reply as [string, ReadonlyArray<string>]
      if (keys.length > 0) yield* use(keys)
      cursor = next
    } while (cursor !== "0")
  })
