/**
 * Gathers items that are added one by one into batches, without a timer: while as many batches are under way as may be,
 * whatever arrives waits and goes with the next. Otherwise it leaves at the end of the current microtask queue, so that
 * items added together travel together. Batches leave in the order of their items.
 *
 * Several batches under way keep both sides busy: one is made up while another is executed.
 *
 * Plain code on purpose: an Effect queue and a deferred per item were measured to eat the whole gain of batching.
 */
export interface GroupCommitItem {
  /** Size of the item in its batch, in UTF-16 units. */
  readonly size: number
}

export interface GroupCommitLimits {
  readonly batchesUnderWay: number
  readonly batchItems: number
  readonly batchSize: number
  readonly waitingItems: number
  readonly waitingSize: number
}

export class GroupCommit<Item extends GroupCommitItem> {
  readonly #send: (batch: ReadonlyArray<Item>, done: () => void) => void
  readonly #limits: GroupCommitLimits
  #waiting: Array<Item> = []
  #waitingSize = 0
  #scheduled = false
  #sending = false
  #batchesUnderWay = 0
  #itemsUnderWay = 0
  #whenIdle: Array<() => void> = []

  /** @param send takes a batch and calls `done` once, when each of its items has its outcome */
  constructor(send: (batch: ReadonlyArray<Item>, done: () => void) => void, limits: GroupCommitLimits) {
    this.#send = send
    this.#limits = limits
  }

  /** Items that have no outcome yet. */
  get pending(): number {
    return this.#waiting.length + this.#itemsUnderWay
  }

  /** Returns false, and forgets the item, when as much is waiting as may wait. */
  add(item: Item): boolean {
    if (
      this.#waiting.length >= this.#limits.waitingItems ||
      this.#waitingSize + item.size > this.#limits.waitingSize
    ) {
      return false
    }
    this.#waiting.push(item)
    this.#waitingSize += item.size
    if (!this.#scheduled && this.#batchesUnderWay < this.#limits.batchesUnderWay) {
      this.#scheduled = true
      queueMicrotask(() => {
        this.#scheduled = false
        this.#sendWhatMay()
      })
    }
    return true
  }

  /** Calls back once nothing is waiting or under way. */
  onIdle(callback: () => void): void {
    if (this.pending === 0) callback()
    else this.#whenIdle.push(callback)
  }

  #sendWhatMay(): void {
    // A batch that is done before `send` returns comes back here: the loop below goes on by itself.
    if (this.#sending) return
    this.#sending = true
    while (this.#waiting.length > 0 && this.#batchesUnderWay < this.#limits.batchesUnderWay) {
      const batch = this.#take()
      this.#batchesUnderWay++
      this.#itemsUnderWay += batch.length
      this.#send(batch, () => {
        this.#batchesUnderWay--
        this.#itemsUnderWay -= batch.length
        this.#sendWhatMay()
      })
    }
    this.#sending = false
    if (this.pending > 0) return
    const callbacks = this.#whenIdle
    this.#whenIdle = []
    for (const callback of callbacks) callback()
  }

  #take(): ReadonlyArray<Item> {
    let count = 0
    let size = 0
    for (const item of this.#waiting) {
      const isFull =
        count >= this.#limits.batchItems || (count > 0 && size + item.size > this.#limits.batchSize)
      if (isFull) break
      count++
      size += item.size
    }
    this.#waitingSize -= size
    if (count === this.#waiting.length) {
      const batch = this.#waiting
      this.#waiting = []
      return batch
    }
    return this.#waiting.splice(0, count)
  }
}
