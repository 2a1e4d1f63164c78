import { createDriverFactory, type DriverFactory, type DriverQueryResult } from "slonik"
import * as Connection from "./Connection.ts"
import * as Copy from "./Copy.ts"

/**
 * Connects slonik to pg.
 *
 * Slonik's own driver connects as soon as a pool is made, reads `sslmode` in its own way, hides the SQLSTATE 22P02, and
 * never lets go of a connection whose server hangs. This one leaves URLs and errors to pg, and ends in time.
 */
export const make = (options: Connection.ConnectionOptions): DriverFactory =>
  createDriverFactory(async () => ({
    createPoolClient: async ({ clientEventEmitter }) => {
      const { client, connect, end } = Connection.make(options, (error) =>
        clientEventEmitter.emit("error", error),
      )
      return {
        connect,
        end,
        query: async (statement, values) => {
          if (Copy.isCopy(statement)) {
            const rowCount = await Copy.run(client, statement, values?.[0])
            return { command: "COPY", fields: [], rowCount, rows: [] } satisfies DriverQueryResult
          }
          const answer = await client.query(statement, values)
          // Several statements in one text, which is possible without values, have an answer each.
          const { command, rowCount, rows } = Array.isArray(answer) ? answer.at(-1) : answer
          return { command, fields: [], rowCount, rows } satisfies DriverQueryResult
        },
        stream: () => {
          throw new Error("this driver has no streams")
        },
      }
    },
  }))
