#!lua
--[[
  Gives the next id of a counter without a message.

  KEYS[1]  id counter (integer)

  Reply: the id

  Errors, before the first write:
    COUNTER_MISSING  the counter must be raised first (raiseCounter): starting again at 1 would give ids twice
    COUNTER_INVALID  the counter holds no integer, or no ids are left below 2^53
]]
local held = redis.call('GET', KEYS[1])
if not held then
  return redis.error_reply('COUNTER_MISSING ' .. KEYS[1] .. ' does not exist')
end
if not (held == '0' or string.find(held, '^[1-9]%d*$')) or tonumber(held) >= 9007199254740991 then
  return redis.error_reply('COUNTER_INVALID ' .. KEYS[1] .. ' must hold an integer from 0 to 2^53 - 1 with ids left above it')
end
return redis.call('INCR', KEYS[1])
