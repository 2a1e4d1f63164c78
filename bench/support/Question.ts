import { Data, type Effect, type Scope } from "effect"
import type { PostgresServer } from "../../src/services/PostgresServer.ts"
import type { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import type { Options } from "./Options.ts"

/** Something that was accepted is not where it should be exactly once. Its figures would mean nothing. */
export class CheckFailed extends Data.TaggedError("CheckFailed")<{ readonly message: string }> {}

/** One way of doing what a question asks. Everything that goes wrong besides the check is a defect. */
export interface Contestant {
  readonly name: string
  /** Name of the contestant that this one is compared with. Absent for one that others are compared with. */
  readonly baseline?: string | undefined
  /** Puts the servers where each repetition begins. Not timed. */
  readonly prepare: Effect.Effect<void>
  /** The work itself, and the only thing that is timed. */
  readonly run: Effect.Effect<void>
  /** Looks whether everything has been done exactly once. Not timed. */
  readonly check: Effect.Effect<void, CheckFailed>
}

export interface Question {
  /** As it is named on the command line. */
  readonly name: string
  readonly asks: string
  /** What `amount` counts, such as `messages`. */
  readonly unit: string
  /** How much one `run` does. */
  readonly amount: number
  /** What holds for all contestants, in a few words each. */
  readonly conditions: ReadonlyArray<string>
  readonly contestants: ReadonlyArray<Contestant>
}

export type Servers = ValkeyServer | PostgresServer

/** Opens the connections of a question, for as long as the scope lasts. */
export type MakeQuestion = (options: Options) => Effect.Effect<Question, never, Servers | Scope.Scope>
