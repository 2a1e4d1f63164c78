import { Context, type Effect } from "effect"

/** What one check has found. */
export interface Diagnosis {
  /**
   * - `ok`: the check has passed.
   * - `notice`: normal, and good to know.
   * - `warning`: nothing is lost and messages are taken; something should be improved.
   * - `error`: messages cannot be taken or stored, could be lost, or are missing.
   */
  readonly severity: "ok" | "notice" | "warning" | "error"
  /** Name of the check. */
  readonly check: string
  /** What is so, and how to repair what is wrong. */
  readonly reason: string
}

/**
 * Looks at everything that can be wrong with an installation, and changes nothing. A server that does not answer is told
 * within 20 seconds, and one that falls silent meanwhile within 180 seconds.
 */
export class Doctor extends Context.Tag("chat-cache/Doctor")<
  Doctor,
  { readonly examine: Effect.Effect<ReadonlyArray<Diagnosis>> }
>() {}
