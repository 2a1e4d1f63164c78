--[[
  The plain way of taking one message: decodes it, wraps it with its id and encodes it again.

  KEYS[1]  id counter (integer)
  KEYS[2]  recent public messages (list)
  KEYS[3]  flush queue (list)

  ARGV[1]  the message as JSON text
  ARGV[2]  length of the recent cache

  Reply: the id
]]
local id = redis.call('INCR', KEYS[1])
local entry = cjson.encode({ cache_id = id, data = cjson.decode(ARGV[1]) })
redis.call('RPUSH', KEYS[2], entry)
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[2]), -1)
redis.call('RPUSH', KEYS[3], entry)
return id
