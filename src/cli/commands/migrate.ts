import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Layer } from "effect"
import { Migrator } from "../../services/Migrator.ts"
import { PartlyFailed } from "../Errors.ts"
import { json } from "../options.ts"
import { print, write } from "../Output.ts"

// Loaded when it is needed, as whatever goes to the servers itself.
const migratorLayer = Layer.unwrapEffect(
  Effect.promise(async () => {
    const [{ layer }, { postgres }] = await Promise.all([
      import("../../layers/MigratorPostgres.ts"),
      import("../Connections.ts"),
    ])
    return Layer.provide(layer, postgres)
  }),
)

export const migrate = Command.make(
  "migrate",
  {
    check: Options.boolean("check").pipe(
      Options.withDescription("Only tell what is missing, and fail when something is."),
    ),
    json,
  },
  ({ check, json: isJson }) =>
    Effect.gen(function* () {
      const migrator = yield* Migrator
      const pending = yield* migrator.pending
      if (check) {
        yield* print(isJson, { pending }, () =>
          pending.length === 0
            ? "The tables are up to date."
            : pending.map((name) => `missing: ${name}`).join("\n"),
        )
        if (pending.length === 0) return
        return yield* new PartlyFailed({
          reason: `${pending.length} migrations are missing: \`chat-cache migrate\` applies them.`,
        })
      }
      if (pending.length > 0 && process.stderr.isTTY === true) {
        yield* write(`Applying ${pending.join(", ")} …`, process.stderr)
      }
      const applied = yield* migrator.apply
      yield* print(isJson, { applied }, () =>
        applied.length === 0
          ? "The tables are up to date already."
          : applied.map((name) => `applied: ${name}`).join("\n"),
      )
    }).pipe(Effect.provide(migratorLayer)),
).pipe(Command.withDescription("Brings the tables of PostgreSQL up to date."))
