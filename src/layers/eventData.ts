import { Effect, Either, Schema } from "effect"
import { StoreMisconfigured } from "../domain/Errors.ts"
import { Event, RecordedEvent } from "../domain/Event.ts"
import { toStorable } from "./toStorable.ts"

const encode = Schema.encodeSync(Event)
const decode = Schema.decodeUnknownEither(RecordedEvent)

export const eventTypes: ReadonlyArray<string> = Event.members.map((member) => member._tag)

/** What an event says besides its type, as a journal can keep it. */
export const eventData = (event: Event): object => {
  const { _tag, ...data } = encode(event)
  return Object.fromEntries(
    Object.entries(data).map(([field, value]) => [
      field,
      typeof value === "string" ? toStorable(value) : value,
    ]),
  )
}

/** An event as it lies in a journal. */
export interface EventRow {
  readonly position: number
  readonly type: string
  readonly data: object
  /** RFC 3339, UTC. */
  readonly recorded_at: string
}

export const decodeEventRow = ({ position, type, data, recorded_at }: EventRow) =>
  decode({ position, recorded_at, event: { ...data, _tag: type } })

/** SQLSTATE data_corrupted: the journal was changed by hand, because nothing else writes what cannot be read. */
const corrupted = "XX001"

export const decodeEventRows = (
  operation: string,
  rows: ReadonlyArray<EventRow>,
): Effect.Effect<ReadonlyArray<RecordedEvent>, StoreMisconfigured> =>
  Effect.forEach(rows, (row) =>
    Either.mapLeft(
      decodeEventRow(row),
      () =>
        new StoreMisconfigured({
          operation,
          reason: `the event at position ${row.position} does not have the shape of a ${row.type}`,
          sqlstate: corrupted,
        }),
    ),
  )
