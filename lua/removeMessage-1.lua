#!lua flags=allow-oom
--[[
  Takes a deleted message out of recent caches, and has readers pass over it wherever else it stands.

  KEYS[1]   ids of the messages that were deleted last (sorted set, by the time in milliseconds)
  KEYS[2..] recent caches that may hold the message (lists)

  ARGV[1]   message_id, in lower case
  ARGV[2]   the most ids that are kept
  ARGV[3]   for how many seconds an id is kept

  Reply: the number of entries removed

  The id is kept because a message that is only queued may stand in caches whose users nobody knows yet, and because
  it may be sent again. Its cost does not depend on the length of any queue.

  An entry is recognised by the text of its id. Quotes within a text of the message are escaped, so that no message can
  pretend to be another one by what it says.

  It runs when the server is out of memory: what it adds is little and bounded.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[3] * 1000))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])

local mark = '"message_id":"' .. ARGV[1] .. '"'
local removed = 0
for k = 2, #KEYS do
  for _, entry in ipairs(redis.call('LRANGE', KEYS[k], 0, -1)) do
    if string.find(entry, mark, 1, true) then
      removed = removed + redis.call('LREM', KEYS[k], 0, entry)
    end
  end
end
return removed
