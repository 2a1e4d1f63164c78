import { Effect } from "effect"
import { CheckFailed } from "./Question.ts"

/** @param find says what is wrong, if anything is */
export const check = (find: () => Promise<string | undefined>): Effect.Effect<void, CheckFailed> =>
  Effect.promise(find).pipe(
    Effect.flatMap((message) =>
      message === undefined ? Effect.void : Effect.fail(new CheckFailed({ message })),
    ),
  )
