#!lua flags=no-writes
--[[
  Reads how a flush queue and its id counter stand at the same moment.

  KEYS[1]  flush queue (list)
  KEYS[2]  id counter (integer)

  Reply: { length of the queue; its first entry, nil if there is none; the counter as text, nil if it is missing }
]]
return { redis.call('LLEN', KEYS[1]), redis.call('LINDEX', KEYS[1], 0), redis.call('GET', KEYS[2]) }
