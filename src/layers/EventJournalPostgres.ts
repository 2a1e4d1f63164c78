import { Effect, Layer } from "effect"
import { EventJournal } from "../services/EventJournal.ts"
import { Postgres } from "../services/Postgres.ts"
import { decodeEventRows, type EventRow } from "./eventData.ts"
import * as EventRows from "./postgres/EventRows.ts"

const operation = "EventJournal.read"

const make = Effect.gen(function* () {
  const postgres = yield* Postgres

  const read = Effect.fn(operation)(function* (after: number, limit: number) {
    const rows = yield* postgres.read<EventRow>(operation, EventRows.select(after, limit))
    return yield* decodeEventRows(operation, rows)
  })

  return EventJournal.of({ read })
})

export const layer: Layer.Layer<EventJournal, never, Postgres> = Layer.effect(EventJournal, make)
