import { Context, type Effect } from "effect"
import type {
  CacheUnavailable,
  QuarantineEntryNotFound,
  QuarantineEntryResolved,
  ReplayRefused,
  StoreError,
} from "../domain/Errors.ts"
import type { QuarantineEntry } from "../domain/Quarantine.ts"
import type { QuarantineFilter } from "./MessageStore.ts"

/** The messages that could not be stored, and what can be done about them. Each operation ends within 30 seconds. */
export class Quarantine extends Context.Tag("chat-cache/Quarantine")<
  Quarantine,
  {
    /** Entries by ascending id: the open ones unless the filter says otherwise. */
    readonly list: (filter: QuarantineFilter) => Effect.Effect<ReadonlyArray<QuarantineEntry>, StoreError>

    readonly show: (id: number) => Effect.Effect<QuarantineEntry, QuarantineEntryNotFound | StoreError>

    /**
     * Stores the message, as it was or corrected, and closes the entry in the same transaction. `message_id` and
     * `authored_at` stay those of the entry as far as they can be read. Replaying it again changes nothing.
     *
     * @param corrected a whole message draft instead of the quarantined one
     */
    readonly replay: (
      id: number,
      corrected?: unknown,
    ) => Effect.Effect<
      QuarantineEntry,
      QuarantineEntryNotFound | QuarantineEntryResolved | ReplayRefused | CacheUnavailable | StoreError
    >

    /** Closes the entry without storing it. The bytes are kept. Discarding it again changes nothing. */
    readonly discard: (
      id: number,
    ) => Effect.Effect<QuarantineEntry, QuarantineEntryNotFound | QuarantineEntryResolved | StoreError>
  }
>() {}
