/**
 * How the steps of a shutdown share its deadline, one after the other. The rest, a twentieth, is for closing the HTTP
 * server, the pool and the client.
 */
export const shutdownShares = {
  /** For the outcomes of messages that are under way. */
  publishers: 0.15,
  /** For moving the queues into PostgreSQL. */
  drain: 0.7,
  /** For asking what stayed queued. */
  lastLength: 0.05,
  /** For journalling the end. */
  lastEvent: 0.05,
}
