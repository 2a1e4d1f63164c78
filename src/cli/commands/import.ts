import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, HashMap, Layer, Option } from "effect"
import { Importer } from "../../services/Importer.ts"
import { json } from "../options.ts"
import { print, table } from "../Output.ts"
import * as Progress from "../Progress.ts"

const importerLayer = (migrates: boolean) =>
  Layer.unwrapEffect(
    Effect.map(
      Effect.promise(() => import("../importerLayer.ts")),
      ({ layer }) => layer(migrates),
    ),
  )

/** A bar that is made when it is known how much there is to do. */
const progressBar = () => {
  let bar: Progress.Progress | undefined
  let shown = 0
  return {
    onPage: (done: number, total: number) =>
      Effect.suspend(() => {
        bar ??= Progress.make("Importing", total)
        const by = done - shown
        shown = done
        return bar.advance(by)
      }),
    clear: Effect.suspend(() => bar?.clear ?? Effect.void),
  }
}

export const importCommand = Command.make(
  "import",
  {
    schema: Options.text("schema").pipe(
      Options.withDescription("Where the tables chat_messages and private_messages of the predecessor are."),
      Options.withDefault("chatserver"),
    ),
    timeZone: Options.text("time-zone").pipe(
      Options.withDescription("The zone of times that have none, such as Europe/Berlin."),
      Options.withDefault("UTC"),
    ),
    columns: Options.keyValueMap("column").pipe(
      Options.withDescription("A column whose name tells nothing, as ours=theirs. May be repeated."),
      Options.optional,
    ),
    dryRun: Options.boolean("dry-run").pipe(
      Options.withDescription("Do everything and commit nothing. Needs the tables: see migrate."),
    ),
    json,
  },
  ({ schema, timeZone, columns, dryRun, json: isJson }) =>
    Effect.gen(function* () {
      const importer = yield* Importer
      const bar = progressBar()
      const options = {
        schema,
        timeZone,
        columns: Object.fromEntries(Option.getOrElse(columns, () => HashMap.empty<string, string>())),
        dryRun,
      }
      const report = yield* importer.run(options, bar.onPage).pipe(Effect.ensuring(bar.clear))
      yield* print(isJson, { dry_run: dryRun, ...report }, () =>
        [
          ...(dryRun ? ["Nothing was changed. This is what would be done:"] : []),
          table(
            ["table", "rows", "imported", "already stored", "deleted", "quarantined", "already quarantined"],
            report.tables.map((done) => [
              done.source,
              done.rows,
              done.imported,
              done.already_stored,
              done.deleted,
              done.quarantined,
              done.already_quarantined,
            ]),
          ),
          ...report.absent.map((name) => `There is no ${name}.`),
        ].join("\n"),
      )
    }).pipe(Effect.provide(importerLayer(!dryRun))),
).pipe(
  Command.withDescription(
    "Takes over the tables of a predecessor that had the same keys. Doing it again adds what is new.",
  ),
)
