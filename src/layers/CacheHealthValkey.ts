import { Duration, Effect, Layer } from "effect"
import { CacheHealth, type Finding } from "../services/Health.ts"
import type { Settings } from "../services/Settings.ts"
import { Valkey } from "../services/Valkey.ts"
import { ValkeyPreflight } from "../services/ValkeyPreflight.ts"
import * as ValkeyPreflightLayer from "./ValkeyPreflight.ts"

const answerWithin = Duration.seconds(2)

const unreachable = (reason: string): ReadonlyArray<Finding> => [
  { severity: "blocking", check: "valkey", reason },
]

const make = Effect.gen(function* () {
  const valkey = yield* Valkey
  const preflight = yield* ValkeyPreflight

  const findings = Effect.gen(function* () {
    const problem = yield* valkey.problem
    if (problem !== undefined) return unreachable(problem)
    const { problems } = yield* preflight.check
    return problems
  }).pipe(
    Effect.timeoutFail({
      duration: answerWithin,
      onTimeout: () => new Error(`no answer within ${Duration.format(answerWithin)}`),
    }),
    Effect.catchAll(({ message }) => Effect.succeed(unreachable(`Valkey at ${valkey.address}: ${message}`))),
  )
  return CacheHealth.of({ findings })
})

export const layer: Layer.Layer<CacheHealth, never, Valkey | Settings> = Layer.effect(CacheHealth, make).pipe(
  Layer.provide(ValkeyPreflightLayer.layer),
)
