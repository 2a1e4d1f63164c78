/** What a failure is, as far as planning it is concerned. What it does is in `faults/`. */
export interface FaultKind {
  readonly name: string
  /** What it takes hold of. Of two failures of the same thing, the second waits for the end of the first. */
  readonly strikes: string
  /** How many such things there are: the planned target is one of them, counted from 0. */
  readonly targets: number
  /** Milliseconds that it lasts. 0: it is over at once. */
  readonly longest: number
  /** How often it is chosen, compared with others. */
  readonly weight: number
  /** Valkey's data is lost by it: the books have to allow for what was queued. */
  readonly isLossy: boolean
}

export interface PlannedFault {
  /** Milliseconds after the begin of the run. */
  readonly at: number
  readonly name: string
  readonly target: number
  readonly lasts: number
}
