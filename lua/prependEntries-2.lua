#!lua
--[[
  Puts older messages in front of a recent cache, if the cache still begins as it did when they were looked for.

  KEYS[1]  recent cache of a channel (list with a TTL)
  KEYS[2]  ids of the messages that were deleted last (sorted set)

  ARGV[1]  SHA-1 of the first entry of the cache as it was read, in lower-case hex; empty if the cache was empty
  ARGV[2]  length of a recent cache
  ARGV[3]  milliseconds after which the cache expires, unless a message comes
  ARGV[4..] message_id and entry of each message, the newest first: at most 1000 messages

  Reply: 1 if they were put there, 0 if the cache begins differently now

  A cache that another process has filled meanwhile, or that has lost its first entries, is left as it is: what would be
  put in front of it might stand in it already, or leave a gap. What was appended meanwhile does no harm. What was
  deleted after it was looked for is passed over.
]]
local cache, deleted = KEYS[1], KEYS[2]

local first = redis.call('LINDEX', cache, 0)
if (first and redis.sha1hex(first) or '') ~= ARGV[1] then
  return 0
end
local room = ARGV[2] - redis.call('LLEN', cache)
local older = {}
for i = 4, #ARGV, 2 do
  if #older < room and not redis.call('ZSCORE', deleted, ARGV[i]) then
    older[#older + 1] = ARGV[i + 1]
  end
end
if #older > 0 then
  redis.call('LPUSH', cache, unpack(older))
  redis.call('PEXPIRE', cache, ARGV[3])
end
return 1
