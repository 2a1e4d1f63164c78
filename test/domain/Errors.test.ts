import { assert, it } from "@effect/vitest"
import {
  CacheUnavailable,
  InvalidMessage,
  QuarantineEntryResolved,
  ReplayRefused,
  RowsRefused,
  SchemaSuspected,
} from "../../src/domain/Errors.ts"

it.each<[error: Error, message: string]>([
  [
    new InvalidMessage({
      problems: [
        { field: "channel", problem: "must not be empty" },
        { field: "owner_id", problem: "is missing" },
      ],
    }),
    "The message was not taken: channel must not be empty; owner_id is missing.",
  ],
  [
    new InvalidMessage({ problems: [{ field: "", problem: "must be an object" }] }),
    "The message was not taken: the message must be an object.",
  ],
  [
    new CacheUnavailable({ operation: "publish", execution: "refused", reason: "connection refused" }),
    "Valkey is unavailable (publish: connection refused); nothing was executed, try again later.",
  ],
  [
    new CacheUnavailable({ operation: "publish", execution: "unknown", reason: "connection closed" }),
    "Valkey did not confirm (publish: connection closed); try again with the same message_id.",
  ],
  [new RowsRefused({ reason: "", sqlstate: "22001" }), "PostgreSQL refuses the data (SQLSTATE 22001)."],
  [new RowsRefused({ reason: "", sqlstate: null }), "PostgreSQL refuses the data (SQLSTATE unknown)."],
  [
    new SchemaSuspected({ queue: "public", rows: 500, sqlstate: null }),
    "PostgreSQL refuses more than half of 500 public messages (SQLSTATE unknown): its table seems to have changed; nothing is quarantined, repair the table.",
  ],
  [
    new QuarantineEntryResolved({ id: 7, status: "discarded" }),
    "The quarantined message 7 has already been discarded.",
  ],
  [
    new ReplayRefused({
      id: 7,
      problems: [
        { field: "", problem: "the text is not JSON" },
        { field: "channel", problem: "is missing" },
      ],
    }),
    "The quarantined message 7 cannot be stored: the text is not JSON; channel is missing. Replay it with a corrected message.",
  ],
])("$message", (error, message) => {
  assert.strictEqual(error.message, message)
})
