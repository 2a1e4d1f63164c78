import type { DatabasePool, DatabasePoolConnection } from "slonik"

/** A connection of the pool, held for as long as its holder wants instead of for as long as a callback runs. */
export interface Lease {
  /** Rejects when no connection can be made. */
  readonly connection: Promise<DatabasePoolConnection>
  /** What broke the connection, `undefined` while it holds. */
  readonly broken: () => unknown
  /** The pool may hand the connection to somebody else. */
  readonly giveBack: () => Promise<void>
  /** The pool closes the connection, with whatever is still running on it, and the server rolls back. */
  readonly giveUp: () => Promise<void>
}

const ignore = () => {}

export const take = (pool: Promise<DatabasePool>): Lease => {
  const opened = Promise.withResolvers<DatabasePoolConnection>()
  const finished = Promise.withResolvers<void>()
  let isOpen = false
  let isFinished = false
  let broken: unknown
  const ended = pool
    .then(({ connect }) =>
      connect((connection) => {
        isOpen = true
        opened.resolve(connection)
        return finished.promise
      }),
    )
    .catch((error: unknown) => {
      if (!isFinished) broken = error
      opened.reject(error)
    })
  // Whether anybody still waits for them or not, neither may end the process.
  opened.promise.catch(ignore)
  finished.promise.catch(ignore)

  const finish = async (settle: () => void): Promise<void> => {
    isFinished = true
    settle()
    // A connection that is only being made is closed as soon as it is there, which nobody has to wait for.
    if (isOpen) await ended
  }
  return {
    connection: opened.promise,
    broken: () => broken,
    giveBack: () => finish(finished.resolve),
    giveUp: () => finish(() => finished.reject(new Error("the connection is given up"))),
  }
}
