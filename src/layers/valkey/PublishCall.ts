/** How a batch is told to the script publishMessages: keys and arguments as its header describes them. */
import { Duration } from "effect"
import type { QueueName } from "../../domain/Message.ts"
import type { Publication } from "../../services/MessageCache.ts"
import type { Settings } from "../../services/Settings.ts"
import type { Keys } from "./Keys.ts"

export interface PublishCall {
  readonly keys: ReadonlyArray<string>
  readonly args: ReadonlyArray<string | number>
}

/** Each key once, however many messages name it, and per name the place of its key as the script reads it. */
class Places {
  readonly keys: Array<string>
  readonly #places = new Map<string, string>()
  readonly #keyOf: (name: string) => string

  constructor(keyOf: (name: string) => string, keys: Array<string> = []) {
    this.#keyOf = keyOf
    this.keys = keys
  }

  of(name: string): string {
    let place = this.#places.get(name)
    if (place === undefined) {
      const index = this.keys.push(this.#keyOf(name)) - 1
      // Digits to the base of 128 are single bytes in UTF-8.
      place = String.fromCharCode(index >> 7, index & 127)
      this.#places.set(name, place)
    }
    return place
  }
}

const firstPlace = "\u0000\u0000"

export const make = (keys: Keys, settings: Settings["Type"]) => {
  const { maxQueueLength, maxCacheSize, rateLimit } = settings
  const channelIdleMillis = Math.ceil(Duration.toMillis(settings.channelIdleTime))

  return (queue: QueueName, publications: ReadonlyArray<Publication>): PublishCall => {
    const isPublic = queue === "public"
    const limiters = new Places(keys.rateLimit)
    const caches = isPublic ? new Places(keys.recentOfChannel, [keys.recent]) : new Places(keys.recentPrivate)
    const payloads: Array<string> = []
    let places = ""
    for (const { payload, ownerId, recipientId = ownerId, channel } of publications) {
      payloads.push(payload)
      places += limiters.of(ownerId)
      if (!isPublic) places += caches.of(ownerId) + caches.of(recipientId)
      else places += firstPlace + (channel === undefined ? firstPlace : caches.of(channel))
    }
    return {
      keys: [
        keys.flushQueue[queue],
        keys.counter[queue],
        keys.rateLimitSettings,
        ...limiters.keys,
        ...caches.keys,
      ],
      args: [
        maxQueueLength,
        maxCacheSize,
        rateLimit.message_limit,
        rateLimit.window_seconds,
        channelIdleMillis,
        limiters.keys.length,
        isPublic ? 1 : caches.keys.length,
        places,
        ...payloads,
      ],
    }
  }
}
