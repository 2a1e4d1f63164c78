/**
 * Faults that were once made in this field, each as a change of the source. The model has to notice every one of them.
 *
 * `layer` is the part of the test to run. Each `before` stands in its file exactly once.
 */
const memory = "on memory"
const servers = "on Valkey and PostgreSQL"

export const mutants = [
  {
    name: "acknowledge by count (memory)",
    layer: memory,
    edits: [
      {
        file: "src/layers/CacheMemory.ts",
        before: "state.queues[queue].splice(0, removed)",
        after: "state.queues[queue].splice(0, entries.length)",
      },
    ],
  },
  {
    name: "acknowledge by count (Lua)",
    layer: servers,
    edits: [
      {
        file: "lua/acknowledgeBatch-1.lua",
        before: "if redis.sha1hex(first) ~= ARGV[2] then",
        after: "if false then",
      },
      {
        file: "lua/acknowledgeBatch-1.lua",
        before: "if not last or redis.sha1hex(last) ~= ARGV[3] then",
        after: "if false then",
      },
    ],
  },
  {
    name: "acknowledge by id (memory)",
    layer: memory,
    edits: [
      {
        file: "src/layers/CacheMemory.ts",
        before: 'const hex = (entry: Entry): string => Buffer.from(entry).toString("hex")',
        after: "const hex = (entry: Entry): string => String(idOf(entry))",
      },
    ],
  },
  {
    name: "acknowledge by id (Lua)",
    layer: servers,
    edits: [
      {
        file: "src/layers/FlushQueueValkey.ts",
        before: 'createHash("sha1").update(entry).digest("hex")',
        after:
          '/^{"cache_id":(\\d+)/.exec(Buffer.from(entry).toString("latin1"))?.[1] ?? createHash("sha1").update(entry).digest("hex")',
      },
      {
        file: "lua/acknowledgeBatch-1.lua",
        before: "if redis.sha1hex(first) ~= ARGV[2] then",
        after: `if (string.match(first, '^{"cache_id":(%d+)') or redis.sha1hex(first)) ~= ARGV[2] then`,
      },
      {
        file: "lua/acknowledgeBatch-1.lua",
        before: "if not last or redis.sha1hex(last) ~= ARGV[3] then",
        after: `if not last or (string.match(last, '^{"cache_id":(%d+)') or redis.sha1hex(last)) ~= ARGV[3] then`,
      },
      {
        file: "lua/acknowledgeEntries-1.lua",
        before: "local sha1 = redis.sha1hex(entry)",
        after: `local sha1 = string.match(entry, '^{"cache_id":(%d+)') or redis.sha1hex(entry)`,
      },
    ],
  },
  {
    name: "a message whose id is stored with other content is dropped (memory)",
    layer: memory,
    edits: [
      {
        file: "src/layers/MessageStoreMemory.ts",
        before: "} else if (!MessageRow.isSameContent(stored, row)) conflicts.push(index)",
        after: "}",
      },
    ],
  },
  {
    name: "a message whose id is stored with other content is dropped (PostgreSQL)",
    layer: servers,
    edits: [
      {
        file: "src/layers/MessageStorePostgres.ts",
        before: "return { conflicts: indexes(false), deleted: indexes(true) }",
        after: "return { conflicts: [], deleted: indexes(true) }",
      },
    ],
  },
  {
    name: "acknowledge before COMMIT",
    layer: memory,
    edits: [
      {
        file: "src/layers/flushBatch.ts",
        before: "        yield* transaction.journal(events)\n",
        after:
          "        yield* transaction.journal(events)\n        yield* flushQueue.acknowledge(queue, entries)\n",
      },
    ],
  },
  {
    name: "an SQL error is swallowed in the transaction",
    layer: memory,
    edits: [
      {
        file: "src/layers/flushBatch.ts",
        before: "    (group) => transaction.insert(queue, messagesOf(group)),\n",
        after:
          '    (group) => transaction.insert(queue, messagesOf(group)).pipe(Effect.catchTag("RowsRefused", () => Effect.succeed({ inserted: 0, conflicts: [], deleted: [] }))),\n',
      },
    ],
  },
  {
    name: "an outage is taken for bad data",
    layer: memory,
    edits: [
      {
        file: "src/layers/isolateRefused.ts",
        before: "    const error = result.left\n",
        after:
          '    const error = result.left instanceof RowsRefused ? result.left : new RowsRefused({ reason: "", sqlstate: null })\n',
      },
    ],
  },
  {
    name: "the counter is not raised after a loss",
    layer: memory,
    edits: [
      {
        file: "src/layers/CacheIdCounter.ts",
        before: "flushQueue.raiseCounter(queue, floor)",
        after: "flushQueue.raiseCounter(queue, Math.min(floor, 0))",
      },
    ],
  },
  {
    name: "the counter is not compared after a failover",
    layer: memory,
    edits: [
      {
        file: "src/layers/flushBatch.ts",
        before: "if (counterIsBehind) yield* counter.reseed(queue)",
        after: "void counterIsBehind",
      },
    ],
  },
  {
    name: "the rate limit counts what finds the queue full (memory)",
    layer: memory,
    edits: [
      {
        file: "src/layers/CacheMemory.ts",
        before: 'if (entries.length >= settings.maxQueueLength) return { _tag: "Full" }\n',
        after:
          'if (entries.length >= settings.maxQueueLength) {\n      countMessage(state, publication.ownerId, state.rateLimit ?? settings.rateLimit, now)\n      return { _tag: "Full" }\n    }\n',
      },
    ],
  },
  {
    name: "the rate limit counts what finds the queue full (Lua)",
    layer: servers,
    edits: [
      {
        file: "lua/publishMessages-3.lua",
        before: "accepted >= room and 0 or",
        after: "accepted >= room and call('INCR', KEYS[firstLimiter + a * 128 + b]) * 0 or",
      },
    ],
  },
  {
    name: "quarantine without the journal",
    layer: memory,
    edits: [
      {
        file: "src/domain/Flush.ts",
        before: "...command.quarantined.map(",
        after: "...command.quarantined.slice(1).map(",
      },
    ],
  },
  {
    name: "no balance before COMMIT, and a row forgotten",
    layer: memory,
    edits: [
      {
        file: "src/domain/Flush.ts",
        before: "if (accounted !== command.entries) {",
        after: "if (accounted > command.entries) {",
      },
      {
        file: "src/layers/isolateRefused.ts",
        before: "? [group.slice(0, middle), group.slice(middle)]",
        after: "? [group.slice(0, middle), group.slice(middle + 1)]",
      },
    ],
  },
  {
    name: "another id for the same bytes at every reading",
    layer: memory,
    edits: [
      {
        file: "src/domain/Entry.ts",
        before: "uuidV5(entry, derivedIdNamespace)",
        after: "crypto.randomUUID()",
      },
    ],
  },
  {
    name: "the rate limit is not restored with the counter",
    layer: memory,
    edits: [
      {
        file: "src/layers/Publisher.ts",
        before: "    rateLimiter.restore.pipe(\n",
        after: "    Effect.void.pipe(\n",
      },
    ],
  },
  {
    name: "a message to oneself is cached twice (memory)",
    layer: memory,
    edits: [
      {
        file: "src/layers/CacheMemory.ts",
        before:
          "for (const userId of new Set([publication.ownerId, publication.recipientId ?? publication.ownerId])) {",
        after:
          "for (const userId of [publication.ownerId, publication.recipientId ?? publication.ownerId]) {",
      },
    ],
  },
  {
    name: "a recent cache keeps one too many (Lua)",
    layer: servers,
    edits: [
      {
        file: "lua/publishMessages-3.lua",
        before: "attempt('LTRIM', key, -maxCacheSize, -1)",
        after: "attempt('LTRIM', key, -maxCacheSize + 1, -1)",
      },
    ],
  },
  {
    name: "a flush stores what was deleted (memory)",
    layer: memory,
    edits: [
      {
        file: "src/layers/MessageStoreMemory.ts",
        before: "if (deletedIds.has(row.message_id)) deleted.push(index)",
        after: "if (deletedIds.has(row.message_id) && stored !== undefined) deleted.push(index)",
      },
    ],
  },
  {
    name: "a flush inserts what was deleted (PostgreSQL)",
    layer: servers,
    edits: [
      {
        file: "src/layers/postgres/MessageRows.ts",
        before: "WHERE NOT EXISTS (",
        after: "WHERE true OR NOT EXISTS (",
      },
    ],
  },
  {
    name: "a flush copies what was deleted",
    layer: servers,
    edits: [
      {
        file: "src/layers/MessageStorePostgres.ts",
        before: "return !rows[0]!.is_deleted",
        after: "return true",
      },
    ],
  },
  {
    name: "what is deleted is not put on record (memory)",
    layer: memory,
    edits: [
      {
        file: "src/layers/MessageStoreMemory.ts",
        before: "changes.deleted[queue] = new Map([...deletedOf(queue), [id, audience]])",
        after: "changes.deleted[queue] = deletedOf(queue)",
      },
    ],
  },
  {
    name: "what is deleted is not put on record (PostgreSQL)",
    layer: servers,
    edits: [
      {
        file: "src/layers/postgres/MessageRows.ts",
        before:
          "      INSERT INTO deleted_messages (queue, message_id, ${audience.columns})\n      SELECT ${queue}::text, ${messageId}::uuid, ${audience.columns}\n",
        after: "      SELECT ${audience.columns}\n",
      },
      {
        file: "src/layers/postgres/MessageRows.ts",
        before: "      ON CONFLICT DO NOTHING\n      RETURNING ${audience.columns}\n",
        after: "",
      },
    ],
  },
  {
    name: "insertions do not keep deletions out (PostgreSQL)",
    layer: servers,
    edits: [
      {
        file: "src/layers/postgres/MessageRows.ts",
        before: "SELECT pg_advisory_xact_lock_shared(1667785076, -(${literal}::regclass::oid::int4));",
        after: "",
      },
    ],
  },
  {
    name: "the recent caches keep what is deleted",
    layer: memory,
    edits: [
      {
        file: "src/layers/Deletion.ts",
        before: "yield* cache.remove(queue, id, shownTo)",
        after: "void cache.remove(queue, id, shownTo)",
      },
    ],
  },
  {
    name: "readers see what is deleted and still queued (Lua)",
    layer: servers,
    edits: [
      {
        file: "lua/removeMessage-1.lua",
        before: "redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])\n",
        after: "",
      },
    ],
  },
  {
    name: "a replayed message is stored, and its entry stays open",
    layer: memory,
    edits: [
      {
        file: "src/layers/Quarantine.ts",
        before: 'if (status !== "open") yield* transaction.resolveQuarantineEntry(entry.id, status)',
        after: 'if (status === "discarded") yield* transaction.resolveQuarantineEntry(entry.id, status)',
      },
    ],
  },
]
