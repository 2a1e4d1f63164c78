import { Effect } from "effect"
import type { RecordedEvent } from "../../domain/Event.ts"
import { type ExpectedRows, expectedRows, rowsBehind } from "../../domain/ExpectedRows.ts"
import { type QueueName, queueNames } from "../../domain/Message.ts"
import { evolve, initialState, type State } from "../../domain/State.ts"
import type { StoreView } from "../../services/StoreSnapshot.ts"
import { exampleLimit } from "./finding.ts"

/** Bounds the memory that one reading takes, however long the journal is. */
const pageSize = 1000

interface CountedRange extends ExpectedRows {
  /** Rows that there are. */
  readonly counted: number
}

export interface QueueRecount {
  /** Rows that are missing where batches have stored them, and rows where no batch has. */
  readonly missing: number
  readonly added: number
  /** The first ranges that have another number of rows than they should. */
  readonly suspects: ReadonlyArray<CountedRange>
  /** Positions of batches that quarantined another number of entries than the journal names before them. */
  readonly incompleteBatches: ReadonlyArray<number>
}

export interface JournalRecount {
  readonly state: State
  readonly position: number
  readonly queues: Readonly<Record<QueueName, QueueRecount>>
}

/** What is known of one queue while its events are read. */
class Recounter {
  through: number | undefined
  missing = 0
  added = 0
  readonly suspects: Array<CountedRange> = []
  readonly incompleteBatches: Array<number> = []
  private quarantinedSinceBatch = 0
  private readonly queue: QueueName

  constructor(queue: QueueName) {
    this.queue = queue
  }

  /** A batch names what it quarantines right before itself, in the same transaction. */
  readEvents(events: ReadonlyArray<RecordedEvent>): void {
    for (const { event, position } of events) {
      if (!("queue" in event) || event.queue !== this.queue) continue
      if (event._tag === "MessageQuarantined") this.quarantinedSinceBatch++
      if (event._tag !== "BatchPersisted") continue
      if (event.quarantined !== this.quarantinedSinceBatch) this.incompleteBatches.push(position)
      this.quarantinedSinceBatch = 0
    }
  }

  compare(ranges: ReadonlyArray<ExpectedRows>, counts: ReadonlyArray<number>): void {
    for (const [index, range] of ranges.entries()) {
      const counted = counts[index]!
      if (counted === range.rows) continue
      this.missing += Math.max(0, range.rows - counted)
      this.added += Math.max(0, counted - range.rows)
      if (this.suspects.length < 2 * exampleLimit) this.suspects.push({ ...range, counted })
    }
  }
}

/** Reads the whole journal, page by page, and compares each batch with the rows that have its ids. */
export const recountJournal = Effect.fnUntraced(function* (view: StoreView) {
  const recounters = { public: new Recounter("public"), private: new Recounter("private") }
  const compare = Effect.fnUntraced(function* (queue: QueueName, ranges: ReadonlyArray<ExpectedRows>) {
    if (ranges.length > 0) recounters[queue].compare(ranges, yield* view.countRows(queue, ranges))
  })

  let state = initialState
  let position = 0
  let isAtEnd = false
  while (!isAtEnd) {
    const events = yield* view.events(position, pageSize)
    state = events.reduce((folded, { event }) => evolve(folded, event), state)
    position = events.at(-1)?.position ?? position
    isAtEnd = events.length < pageSize
    for (const queue of queueNames) {
      const recounter = recounters[queue]
      recounter.readEvents(events)
      const { ranges, through } = expectedRows(queue, recounter.through, events)
      recounter.through = through
      yield* compare(queue, isAtEnd ? [...ranges, rowsBehind(through)] : ranges)
    }
  }
  return { state, position, queues: recounters } satisfies JournalRecount as JournalRecount
})
