import { Effect } from "effect"
import { inFlight } from "../support/inFlight.ts"
import { completeNow } from "../support/messages.ts"
import type { EndToEndContestant } from "./EndToEndContestant.ts"
import * as GroupedInsert from "./GroupedInsert.ts"
import { name as baseline } from "./wholeList.ts"

const rowsPerStatement = 256

/** Without Valkey: callers wait for PostgreSQL, together. No recent cache, no rate limit, and nobody is served while it is away. */
export const contestant: EndToEndContestant = {
  name: `INSERT in groups of up to ${rowsPerStatement}, without Valkey`,
  baseline,
  open: ({ drafts, callers, sockets }) =>
    Effect.map(GroupedInsert.make(rowsPerStatement, sockets), (store) => ({
      run: Effect.asVoid(
        inFlight(callers, drafts, (draft) => Effect.promise(() => store(completeNow(draft)))),
      ),
    })),
}
