import { Array as Arrays, Effect } from "effect"
import { inFlight } from "../support/inFlight.ts"
import * as publishScript from "../support/publishScript.ts"
import { name as baseline } from "./evalshaPerMessage.ts"
import { callsInFlight, messagesPerCall } from "./publishAll.ts"
import type { PublishContestant } from "./PublishContestant.ts"

const openWith =
  (edit?: (text: string) => string): PublishContestant["open"] =>
  ({ keyPrefix, drafts, maxCacheSize }) =>
    Effect.map(
      publishScript.open({ keyPrefix, maxCacheSize, maxQueueLength: drafts.length }, edit),
      ({ callOf, make }) => {
        const calls = Arrays.chunksOf(drafts, messagesPerCall).map(callOf)
        return { run: Effect.map(inFlight(callsInFlight, calls, make), (ids) => ids.flat()) }
      },
    )

const name = `our script with prebuilt texts, ${callsInFlight} calls of ${messagesPerCall}`

/** The ceiling: the script of chat-cache with calls made up beforehand. What chat-cache does besides is what it lacks to this. */
export const contestant: PublishContestant = { name, baseline, open: openWith() }

const replaceOnce = (text: string, searched: string, replacement: string): string => {
  const parts = text.split(searched)
  if (parts.length !== 2) throw new Error(`The script holds ${parts.length - 1} times: ${searched}`)
  return parts.join(replacement)
}

/** Each message is the first of its user, whose window is open. */
const withoutRateLimit = (text: string): string =>
  replaceOnce(
    replaceOnce(text, "attempt('INCR', KEYS[k])", "1"),
    "waits[k] or sent > 1 and call('PTTL', KEYS[k]) or -1",
    "1",
  )

/** The same but for the rate limit, whose price this shows: its ratio is how much faster the script would be. */
export const contestantWithoutRateLimit: PublishContestant = {
  name: `${name}, without the rate limit`,
  baseline: name,
  open: openWith(withoutRateLimit),
}
