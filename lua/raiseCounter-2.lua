#!lua
--[[
  Raises an id counter to at least a floor and to at least the id of the newest queued entry. Creates it when it is
  missing, and never lowers it.

  KEYS[1]  id counter (integer)
  KEYS[2]  flush queue of the same messages (list)

  ARGV[1]  the floor: an integer from 0 to 2^52

  Reply: { the counter before, nil if it was missing; the counter after }, both as text

  Errors, before the first write:
    COUNTER_INVALID  the counter holds no integer from 0 to 2^53 - 1
]]
local maximum = 9007199254740991

local before = redis.call('GET', KEYS[1])
if before and not (before == '0' or string.find(before, '^[1-9]%d*$') and tonumber(before) <= maximum) then
  return redis.error_reply('COUNTER_INVALID ' .. KEYS[1] .. ' must hold an integer from 0 to 2^53 - 1')
end

local after = math.max(tonumber(before) or 0, tonumber(ARGV[1]))
local newest = redis.call('LINDEX', KEYS[2], -1)
local newestId = newest and tonumber((string.match(newest, '^%s*{%s*"cache_id"%s*:%s*(%d+)')))
-- A counter gives no ids above 2^52: a higher one was put there by hand, and would use up those of all messages.
if newestId and newestId <= 4503599627370496 then
  after = math.max(after, newestId)
end

-- Concatenating a number keeps 14 of its digits.
local text = string.format('%.0f', after)
if text ~= before then
  redis.call('SET', KEYS[1], text)
end
return { before, text }
