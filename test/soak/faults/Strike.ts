import type { Effect } from "effect"
import type { FaultKind } from "../Fault.ts"
import type { NotDone } from "../Servers.ts"
import type { World } from "../World.ts"

/** Both are tried again for a while when something else keeps them from working. */
export interface Fault extends FaultKind {
  readonly strike: (world: World, target: number) => Effect.Effect<void, NotDone>
  /** Done in the end, whether the strike is known to have worked or not. */
  readonly heal?: (world: World, target: number) => Effect.Effect<void, NotDone>
}

export const fault = (options: Pick<Fault, "name" | "strikes" | "strike"> & Partial<Fault>): Fault => ({
  targets: 1,
  longest: options.heal === undefined ? 0 : 2500,
  weight: 1,
  isLossy: false,
  ...options,
})
