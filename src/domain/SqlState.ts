/**
 * What an SQLSTATE says about whose fault it is.
 *
 * - `data`: this row cannot be stored, others can.
 * - `misconfiguration`: a table, right, database or login is missing; somebody has to repair it.
 * - `outage`: everything else, also what we do not know. Only `data` may ever quarantine a message.
 */
export type Fault = "data" | "misconfiguration" | "outage"

const dataStates = new Set(["54000", "54001"])

/** @param sqlstate five characters, or `undefined` when the server gave none (it was not reached, or cut off) */
export const faultOf = (sqlstate: string | undefined): Fault => {
  if (sqlstate === undefined) return "outage"
  const sqlClass = sqlstate.slice(0, 2)
  if (sqlClass === "22" || sqlClass === "23" || dataStates.has(sqlstate)) return "data"
  if (sqlClass === "28" || sqlClass === "3D" || sqlClass === "3F" || sqlClass === "42")
    return "misconfiguration"
  return "outage"
}
