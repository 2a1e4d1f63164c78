/**
 * Loaded into a daemon with `node --import`: kills the process at the worst moment, when a batch is committed and its
 * acknowledgement is about to be sent.
 */
import { Redis } from "iovalkey"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"

const script = readFileSync(new URL("../../lua/acknowledgeBatch-1.lua", import.meta.url), "utf8")
const sha1 = createHash("sha1").update(script).digest("hex")

const { sendCommand } = Redis.prototype

Redis.prototype.sendCommand = function (command, ...rest) {
  if (command.args.some((argument) => argument === sha1 || argument === script)) {
    process.kill(process.pid, "SIGKILL")
  }
  return sendCommand.call(this, command, ...rest)
}
