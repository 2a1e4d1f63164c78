/** The most successes that are waited for before a batch grows again. */
const longestWait = 64

/**
 * How many entries the next batch may have.
 *
 * After a failure that may be due to its size it has half of them, and after a success twice as many. Where the larger one
 * fails again, growing waits for twice as many successes: a store that only gets small batches done is not asked for more
 * after each of them.
 */
export interface BatchSize {
  readonly entries: () => number
  readonly succeeded: () => void
  readonly failed: () => void
  /** The queue is worked off: what was learnt is forgotten. */
  readonly reset: () => void
}

export const make = (maximum: number): BatchSize => {
  let entries = maximum
  let successes = 0
  let successesToGrow = 1
  let hasGrown = false
  return {
    entries: () => entries,
    succeeded: () => {
      successes++
      hasGrown = entries < maximum && successes >= successesToGrow
      if (!hasGrown) return
      entries = Math.min(maximum, entries * 2)
      successes = 0
    },
    failed: () => {
      if (hasGrown) successesToGrow = Math.min(longestWait, successesToGrow * 2)
      entries = Math.max(1, entries >>> 1)
      successes = 0
      hasGrown = false
    },
    reset: () => {
      successesToGrow = 1
    },
  }
}
