/**
 * Gathers items that are added one by one into batches, without a timer: while one batch is under way, whatever
 * arrives waits and goes with the next. An item that finds nothing under way leaves at the end of the current
 * microtask queue, so that items added together travel together.
 *
 * Plain code on purpose: an Effect queue and a deferred per item were measured to eat the whole gain of batching.
 */
export interface GroupCommitItem {
  /** Size of the item in its batch, in UTF-16 units. */
  readonly size: number
  /** Set when nobody waits for the item any more. One that has not left yet is then dropped. */
  cancelled: boolean
}

export interface GroupCommitLimits {
  readonly batchItems: number
  readonly batchSize: number
  readonly pendingItems: number
  readonly pendingSize: number
}

export class GroupCommit<Item extends GroupCommitItem> {
  readonly #send: (batch: ReadonlyArray<Item>, done: () => void) => void
  readonly #limits: GroupCommitLimits
  #waiting: Array<Item> = []
  #waitingSize = 0
  #scheduled = false
  #underWay: ReadonlyArray<Item> = []
  #whenIdle: Array<() => void> = []

  /** @param send takes a batch and calls `done` when each of its items has its outcome */
  constructor(send: (batch: ReadonlyArray<Item>, done: () => void) => void, limits: GroupCommitLimits) {
    this.#send = send
    this.#limits = limits
  }

  /** Items that have no outcome yet. */
  get pending(): number {
    return this.#waiting.length + this.#underWay.length
  }

  /** Returns false, and forgets the item, when as much is waiting as may wait. */
  add(item: Item): boolean {
    if (
      this.#waiting.length >= this.#limits.pendingItems ||
      this.#waitingSize + item.size > this.#limits.pendingSize
    ) {
      return false
    }
    this.#waiting.push(item)
    this.#waitingSize += item.size
    if (!this.#scheduled && this.#underWay.length === 0) {
      this.#scheduled = true
      queueMicrotask(() => this.#next())
    }
    return true
  }

  /** Calls back once nothing is waiting or under way. */
  onIdle(callback: () => void): void {
    if (this.pending === 0) callback()
    else this.#whenIdle.push(callback)
  }

  #next(): void {
    this.#scheduled = false
    const batch = this.#take()
    this.#underWay = batch
    if (batch.length > 0) {
      this.#send(batch, () => this.#next())
      return
    }
    const callbacks = this.#whenIdle
    this.#whenIdle = []
    for (const callback of callbacks) callback()
  }

  #take(): ReadonlyArray<Item> {
    const batch: Array<Item> = []
    let size = 0
    let taken = 0
    for (const item of this.#waiting) {
      if (
        batch.length >= this.#limits.batchItems ||
        (batch.length > 0 && size + item.size > this.#limits.batchSize)
      ) {
        break
      }
      taken++
      this.#waitingSize -= item.size
      if (item.cancelled) continue
      batch.push(item)
      size += item.size
    }
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken)
    return batch
  }
}
