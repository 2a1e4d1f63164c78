import { Context, type Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { RecordedEvent } from "../domain/Event.ts"

/** The append-only record of what happened. Written through `StoreTransaction.journal`, with what it tells of. */
export class EventJournal extends Context.Tag("chat-cache/EventJournal")<
  EventJournal,
  {
    /**
     * Events after a position, in order, at most `limit`. Complete: an event with a lower position never appears
     * after one with a higher position was read. Types that this version does not know are passed over; an event of a
     * known type that cannot be read is `StoreMisconfigured`. Ends within 15 seconds.
     */
    readonly read: (after: number, limit: number) => Effect.Effect<ReadonlyArray<RecordedEvent>, StoreError>
  }
>() {}
