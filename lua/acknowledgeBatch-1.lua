#!lua flags=allow-oom
--[[
  Removes a batch from the head of a flush queue, if the batch still stands there as it was read.

  KEYS[1]  flush queue (list)

  ARGV[1]  number of entries in the batch
  ARGV[2]  SHA-1 of the first entry, in lower-case hex
  ARGV[3]  SHA-1 of the last entry

  Reply: the number of entries removed, or -1 if the head of the queue is another one

  The queue only grows at its tail and only shrinks at its head, and no two entries are alike, so the first and the
  last one at their places tell the whole batch. Count or ids would not: after the server lost its data, after a
  failover, or beside a second flusher they match other messages.

  After -1 the caller sends acknowledgeEntries. That is a second script and not a branch of this one, because it needs
  the SHA-1 of every entry, which the usual case should neither compute nor send.

  It runs when the server is out of memory: removing is what frees it.
]]
local entries = tonumber(ARGV[1])

local first = redis.call('LINDEX', KEYS[1], 0)
if not first then
  return 0
end
if redis.sha1hex(first) ~= ARGV[2] then
  return -1
end
local last = redis.call('LINDEX', KEYS[1], entries - 1)
if not last or redis.sha1hex(last) ~= ARGV[3] then
  return -1
end
redis.call('LTRIM', KEYS[1], entries, -1)
return entries
