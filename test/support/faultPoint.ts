/**
 * Loaded into a daemon with `node --import`: sends the process a signal when a flush comes to a given point for the
 * first time. `SIGKILL` is a crash there, `SIGSTOP` a pause of the machine.
 */
import { Redis } from "iovalkey"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { Client } from "pg"
import { from } from "pg-copy-streams"
import { sentText } from "./sentText.ts"

/**
 * - `afterReading`: a batch is read, and nothing of it is stored.
 * - `whileCopying`: PostgreSQL waits for its rows.
 * - `betweenInserts`: its rows are inserted, and what is to be quarantined is not.
 * - `beforeCommit`, `beforeAcknowledge`, `afterAcknowledge`: as they say.
 */
export type FaultPoint =
  | "afterReading"
  | "whileCopying"
  | "betweenInserts"
  | "beforeCommit"
  | "beforeAcknowledge"
  | "afterAcknowledge"

/** The environment of a daemon that gets the signal at that point. */
export const at = (point: FaultPoint, signal: NodeJS.Signals): Record<string, string> => ({
  NODE_OPTIONS: `--import ${import.meta.url}`,
  TEST_FAULT_POINT: point,
  TEST_FAULT_SIGNAL: signal,
})

const chosen = process.env["TEST_FAULT_POINT"]
let isOver = false

const reach = (point: FaultPoint): void => {
  if (isOver || point !== chosen) return
  isOver = true
  process.kill(process.pid, process.env["TEST_FAULT_SIGNAL"])
}

/** The script by its name, as a command carries it: by its digest, or as a whole. */
const scriptIn = (name: string): ((args: ReadonlyArray<unknown>) => boolean) => {
  const text = readFileSync(new URL(`../../lua/${name}.lua`, import.meta.url), "utf8")
  const sha1 = createHash("sha1").update(text).digest("hex")
  return (args) => args.includes(sha1) || args.includes(text)
}

const observeValkey = (): void => {
  const readsHead = scriptIn("readHead-1")
  const acknowledges = scriptIn("acknowledgeBatch-1")
  const { sendCommand } = Redis.prototype
  Redis.prototype.sendCommand = function (command, ...rest) {
    const onReply = (use: (reply: unknown) => void) => command.promise.then(use, () => {})
    if (readsHead(command.args)) {
      onReply((reply) => {
        if ((reply as ReadonlyArray<unknown>).length > 0) reach("afterReading")
      })
    }
    if (acknowledges(command.args)) {
      reach("beforeAcknowledge")
      onReply(() => reach("afterAcknowledge"))
    }
    return sendCommand.call(this, command, ...rest)
  }
}

const observePostgres = (): void => {
  const withRows = new WeakSet<object>()
  const query = Client.prototype.query as (this: object, ...args: ReadonlyArray<unknown>) => unknown
  const observed = function (this: object, ...args: Array<unknown>): unknown {
    const text = sentText(args[0])
    if (/\bCOPY chat_messages\b/.test(text)) withRows.add(this)
    if (text.startsWith("INSERT INTO quarantined_messages")) reach("betweenInserts")
    if (text === "COMMIT" && withRows.has(this)) reach("beforeCommit")
    return query.apply(this, args)
  }
  Client.prototype.query = observed as typeof Client.prototype.query

  const copying = Object.getPrototypeOf(from("")) as {
    handleCopyInResponse: (this: object, connection: unknown) => void
  }
  const { handleCopyInResponse } = copying
  copying.handleCopyInResponse = function (connection) {
    reach("whileCopying")
    handleCopyInResponse.call(this, connection)
  }
}

if (chosen !== undefined) {
  observeValkey()
  observePostgres()
}
