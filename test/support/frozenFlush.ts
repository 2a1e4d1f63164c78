/** A daemon that stands still in the middle of a flush, and another one on the same servers. */
import { Effect } from "effect"
import * as Accounts from "./Accounts.ts"
import * as Daemon from "./DaemonProcess.ts"
import { at, type FaultPoint } from "./faultPoint.ts"
import { uniqueKeyPrefix } from "./Servers.ts"

export const flush = ({ url }: Daemon.DaemonProcess) => Daemon.request("POST", `${url}/flush`)

/** Of two daemons, the first has queued as many messages and stands still in their flush until it gets SIGCONT. */
export const make = Effect.fnUntraced(function* (point: FaultPoint, messages: number) {
  const keyPrefix = yield* uniqueKeyPrefix
  const environment = { CHAT_CACHE_KEY_PREFIX: keyPrefix }
  const accounts = yield* Accounts.make(keyPrefix)
  const other = yield* Daemon.startReady({ environment })
  const frozen = yield* Daemon.startReady({ environment: { ...environment, ...at(point, "SIGSTOP") } })
  yield* accounts.publishAll(frozen.url, messages)
  const flushing = yield* Effect.fork(flush(frozen))
  yield* Daemon.stopped(frozen)
  return { accounts, environment, frozen, flushing, other }
})
