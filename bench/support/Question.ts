import { Data, type Effect, type Scope } from "effect"
import type { PostgresServer } from "../../src/services/PostgresServer.ts"
import type { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import type { Percentiles } from "./Latencies.ts"
import type { Options } from "./Options.ts"

/** Something that was accepted is not where it should be exactly once. Its figures would mean nothing. */
export class CheckFailed extends Data.TaggedError("CheckFailed")<{ readonly message: string }> {}

/** What a run found out besides how long it took. */
export interface Outcome {
  /** The figure, where it is not how much was done in a second. */
  readonly value?: number
  /** How much was done, where that is known only afterwards. */
  readonly amount?: number
  readonly latency?: Percentiles
  /** What whoever reads the figure has to know, such as what was lost. */
  readonly remark?: string
}

/** One way of doing what a question asks. Everything that goes wrong besides the check is a defect. */
export interface Contestant {
  readonly name: string
  /** Name of the contestant that this one is compared with. Absent for one that others are compared with. */
  readonly baseline?: string | undefined
  /** How much one `run` does, where it is not as much as the others do. */
  readonly amount?: number
  /** Puts the servers where each repetition begins. Not timed. */
  readonly prepare: Effect.Effect<void>
  /** The work itself, and the only thing that is timed. */
  readonly run: Effect.Effect<Outcome | void>
  /** Looks whether everything has been done exactly once. Not timed. */
  readonly check: Effect.Effect<void, CheckFailed>
  /** Process id of a daemon that works for this contestant meanwhile. */
  readonly daemon?: Effect.Effect<number>
}

export interface Question {
  /** As it is named on the command line, and what part of it this is where there are several. */
  readonly name: string
  readonly asks: string
  /** Of the figures, such as `messages/s`. */
  readonly unit: string
  readonly better: "higher" | "lower"
  /** How much one `run` does. */
  readonly amount: number
  /** What holds for all contestants, in a few words each. */
  readonly conditions: ReadonlyArray<string>
  /** What nobody may conclude from the figures. */
  readonly doesNotShow: string
  readonly contestants: ReadonlyArray<Contestant>
  /** Each run is that of a process of its own, which the runs before it cannot have warmed up. */
  readonly needsNoWarmUp?: boolean
  /** The most timed runs of each contestant, where one takes long. */
  readonly maximumRepetitions?: number
}

export type Servers = ValkeyServer | PostgresServer

/** Opens the connections of a question, for as long as the scope lasts. */
export type MakeQuestion = (options: Options) => Effect.Effect<Question, never, Servers | Scope.Scope>
