#!lua
--[[
  Puts rate-limit settings in force, unless the same or newer ones are.

  KEYS[1]  rate-limit settings in force (hash: message_limit, window_seconds, position)

  ARGV[1]  message_limit
  ARGV[2]  window_seconds
  ARGV[3]  position of the settings in the journal; the greater is the newer

  Reply: 1 if they were put in force, 0 if they were already, -1 if newer ones are

  Settings without a position were not written by the daemon, or are what is left of a hash: any others replace them.
]]
local position = tonumber(ARGV[3])
local held = tonumber(redis.call('HGET', KEYS[1], 'position'))
if held and held >= position then
  return held == position and 0 or -1
end
redis.call('HSET', KEYS[1], 'message_limit', ARGV[1], 'window_seconds', ARGV[2], 'position', ARGV[3])
return 1
