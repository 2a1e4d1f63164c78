import { Effect, Either, Layer } from "effect"
import { StoreMisconfigured } from "../domain/Errors.ts"
import { EventJournal } from "../services/EventJournal.ts"
import { Postgres } from "../services/Postgres.ts"
import { decodeEventRow, type EventRow } from "./eventData.ts"
import * as EventRows from "./postgres/EventRows.ts"

/** SQLSTATE data_corrupted: the journal was changed by hand, because nothing else writes what cannot be read. */
const corrupted = "XX001"

const make = Effect.gen(function* () {
  const postgres = yield* Postgres

  const read = Effect.fn("EventJournal.read")(function* (after: number, limit: number) {
    const rows = yield* postgres.read<EventRow>("EventJournal.read", EventRows.select(after, limit))
    return yield* Effect.forEach(rows, (row) =>
      Either.mapLeft(
        decodeEventRow(row),
        () =>
          new StoreMisconfigured({
            operation: "EventJournal.read",
            reason: `the event at position ${row.position} does not have the shape of a ${row.type}`,
            sqlstate: corrupted,
          }),
      ),
    )
  })

  return EventJournal.of({ read })
})

export const layer: Layer.Layer<EventJournal, never, Postgres> = Layer.effect(EventJournal, make)
