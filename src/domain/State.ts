import type { Event } from "./Event.ts"
import { flushDecider, type FlushTotals } from "./Flush.ts"
import type { QueueName } from "./Message.ts"
import { evolveLedger, initialLedger, type Ledger } from "./Ledger.ts"
import { rateLimitDecider, type RateLimitState } from "./RateLimit.ts"

/** How many entries of the quarantine have which status. */
export interface QuarantineTotals {
  readonly open: number
  readonly replayed: number
  readonly discarded: number
}

export interface QueueState {
  readonly flush: FlushTotals
  readonly quarantine: QuarantineTotals
  /** How often the counter had to be raised because Valkey had lost it or gone back in time. */
  readonly reseeds: number
  readonly ledger: Ledger
}

/** Everything that is remembered: the fold of the journal from its beginning. */
export interface State {
  readonly rateLimit: RateLimitState
  readonly queues: Readonly<Record<QueueName, QueueState>>
}

const initialQueue: QueueState = {
  flush: flushDecider.initial,
  quarantine: { open: 0, replayed: 0, discarded: 0 },
  reseeds: 0,
  ledger: initialLedger,
}

export const initialState: State = {
  rateLimit: rateLimitDecider.initial,
  queues: { public: initialQueue, private: initialQueue },
}

const evolveQuarantine = (totals: QuarantineTotals, event: Event): QuarantineTotals => {
  switch (event._tag) {
    case "MessageQuarantined":
      return { ...totals, open: totals.open + 1 }
    case "QuarantineReplayed":
      return { ...totals, open: totals.open - 1, replayed: totals.replayed + 1 }
    case "QuarantineDiscarded":
      return { ...totals, open: totals.open - 1, discarded: totals.discarded + 1 }
    default:
      return totals
  }
}

const evolveQueue = (state: QueueState, event: Event): QueueState => ({
  flush: flushDecider.evolve(state.flush, event),
  quarantine: evolveQuarantine(state.quarantine, event),
  reseeds: event._tag === "CounterReseeded" ? state.reseeds + 1 : state.reseeds,
  ledger: evolveLedger(state.ledger, event),
})

export const evolve = (state: State, event: Event): State =>
  "queue" in event
    ? { ...state, queues: { ...state.queues, [event.queue]: evolveQueue(state.queues[event.queue], event) } }
    : { ...state, rateLimit: rateLimitDecider.evolve(state.rateLimit, event) }
