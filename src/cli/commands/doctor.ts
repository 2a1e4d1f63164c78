import * as Command from "@effect/cli/Command"
import { Effect, Layer } from "effect"
import { type Diagnosis, Doctor } from "../../services/Doctor.ts"
import { PartlyFailed } from "../Errors.ts"
import { json } from "../options.ts"
import { cell, print, style } from "../Output.ts"

const doctorLayer = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() => import("../doctorLayer.ts")),
    ({ layer }) => layer,
  ),
)

const marks = {
  ok: style("green", "✓"),
  notice: style("dim", "·"),
  warning: style("yellow", "!"),
  error: style("red", "✗"),
}

const line = ({ severity, check, reason }: Diagnosis): string =>
  `${marks[severity]} ${style("bold", check)}: ${cell(reason)}`

export const doctor = Command.make("doctor", { json }, ({ json: isJson }) =>
  Effect.gen(function* () {
    const checks = yield* Effect.flatMap(Doctor, ({ examine }) => examine)
    const errors = checks.filter(({ severity }) => severity === "error")
    yield* print(isJson, { healthy: errors.length === 0, checks }, () => checks.map(line).join("\n"))
    if (errors.length > 0) {
      return yield* new PartlyFailed({ reason: `${errors.length} checks have found something to repair.` })
    }
  }).pipe(Effect.provide(doctorLayer)),
).pipe(
  Command.withDescription(
    "Checks the servers, the tables and the books, and says how to repair what is wrong.",
  ),
)
