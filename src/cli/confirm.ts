import * as Prompt from "@effect/cli/Prompt"
import { Effect } from "effect"
import { NotConfirmed } from "./Errors.ts"

/** Asks on a terminal whether it is meant, and refuses where there is nobody to ask. */
export const confirm = Effect.fnUntraced(function* (what: string, yes: boolean) {
  if (yes) return
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) return yield* new NotConfirmed({ what })
  const meant = yield* Prompt.confirm({ message: `${what}. Go on?`, initial: false })
  if (!meant) return yield* new NotConfirmed({ what })
})
