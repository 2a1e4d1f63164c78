import { expect, it } from "@effect/vitest"
import * as Keys from "../../../src/layers/valkey/Keys.ts"

it("spells the keys that other tools know", () => {
  const keys = Keys.make("")
  expect(keys.recent).toBe("recent_messages")
  expect(keys.recentPrivate("7")).toBe("recent_private_messages:7")
  expect(keys.flushQueue).toEqual({ public: "flush_messages", private: "flush_private_messages" })
  expect(keys.counter).toEqual({ public: "cache_message_id", private: "cache_private_message_id" })
  expect(keys.rateLimit("7")).toBe("ratelimit:7")
  expect(keys.rateLimitSettings).toBe("ratelimit_settings")
})

it("puts the prefix before every key, and takes it literally in patterns", () => {
  const keys = Keys.make("{chat}:*[a]?\\")
  expect(keys.recent).toBe("{chat}:*[a]?\\recent_messages")
  expect(keys.rateLimit("*")).toBe("{chat}:*[a]?\\ratelimit:*")
  expect(keys.everyRateLimit).toBe("{chat}:\\*\\[a\\]\\?\\\\ratelimit:*")
  expect(keys.everyRecentPrivate).toBe("{chat}:\\*\\[a\\]\\?\\\\recent_private_messages:*")
})
