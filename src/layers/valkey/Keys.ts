import type { QueueName } from "../../domain/Message.ts"

/** The keys of one installation. Their names are a public interface, and no other module spells one. */
export interface Keys {
  /** The newest public messages (list). */
  readonly recent: string
  /** The newest public messages of the channel (list with a TTL). */
  readonly recentOfChannel: (channel: string) => string
  /** The newest private messages that the user sent or received (list). */
  readonly recentPrivate: (userId: string) => string
  /** Messages that PostgreSQL does not have yet (list). */
  readonly flushQueue: Readonly<Record<QueueName, string>>
  /** The last id given (integer). */
  readonly counter: Readonly<Record<QueueName, string>>
  /** Ids of the messages that were deleted last, which readers pass over (sorted set by time, with a TTL). */
  readonly deleted: Readonly<Record<QueueName, string>>
  /** Messages of the user in the current window (integer with a TTL). */
  readonly rateLimit: (userId: string) => string
  /** The rate limit in force (hash). */
  readonly rateLimitSettings: string
  /** What SCAN MATCH takes to find every private cache. */
  readonly everyRecentPrivate: string
  /** What SCAN MATCH takes to find every limiter. */
  readonly everyRateLimit: string
}

const escapeGlob = (text: string): string => text.replace(/[\\*?[\]]/g, "\\$&")

/** @param prefix goes before every key */
export const make = (prefix: string): Keys => {
  const recentPrivate = `${prefix}recent_private_messages:`
  const rateLimit = `${prefix}ratelimit:`
  return {
    recent: `${prefix}recent_messages`,
    recentOfChannel: (channel) => `${prefix}recent_messages:${channel}`,
    recentPrivate: (userId) => recentPrivate + userId,
    flushQueue: { public: `${prefix}flush_messages`, private: `${prefix}flush_private_messages` },
    counter: { public: `${prefix}cache_message_id`, private: `${prefix}cache_private_message_id` },
    deleted: { public: `${prefix}deleted_messages`, private: `${prefix}deleted_private_messages` },
    rateLimit: (userId) => rateLimit + userId,
    rateLimitSettings: `${prefix}ratelimit_settings`,
    everyRecentPrivate: `${escapeGlob(recentPrivate)}*`,
    everyRateLimit: `${escapeGlob(rateLimit)}*`,
  }
}
