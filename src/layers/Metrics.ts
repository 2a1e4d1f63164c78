import { Metric } from "effect"

/** Entries of recent caches that are not messages and were passed over. */
export const undecodableRecentEntries = Metric.counter("chat_cache_undecodable_recent_entries_total", {
  description: "Entries of recent caches that are not messages and were passed over when read",
  incremental: true,
})
