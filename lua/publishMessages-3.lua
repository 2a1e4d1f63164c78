#!lua
--[[
  Takes a batch of up to 1000 messages of one queue in one atomic step: counts each against its owner's rate limit,
  gives it the next id, and appends it to the flush queue and to the recent caches that show it.

  KEYS[1]    flush queue (list)
  KEYS[2]    id counter (integer)
  KEYS[3]    rate-limit settings in force (hash: message_limit, window_seconds)
  KEYS[4..]  per message, in order, its owner's limiter and then its recent caches: two keys for each message of a
             public batch, three for each of a private one (a message to oneself names the same cache twice)

  ARGV[1]    the longest that the queue may get
  ARGV[2]    length of a recent cache
  ARGV[3]    message_limit, where the settings hold none
  ARGV[4]    window_seconds, where the settings hold none
  ARGV[5..]  per message its payload, which is JSON text and is spliced in as it is

  Reply: { length of the queue afterwards, then one item per message, in order }
    an integer above 0  taken: its id
    0                   not taken: the queue is full
    an integer below 0  not taken: over the limit for that many milliseconds
    a text              not taken: what is wrong with a key of this message

  Errors, all of them before the first write:
    COUNTER_MISSING     the counter must be raised first (raiseCounter)
    COUNTER_INVALID     the counter holds no integer, or no ids are left below 2^53
    OOM, READONLY, MISCONF, NOREPLICAS: the first line has the server refuse the script before it starts.

  An error in a script rolls nothing back. So every check stands before the first write of what it protects, a message
  is refused before any of its keys is written, and the queue is written before the caches.
]]
local queue, counter, settings = KEYS[1], KEYS[2], KEYS[3]
local maxQueueLength, maxCacheSize = tonumber(ARGV[1]), tonumber(ARGV[2])
local fixedKeys, fixedArguments = 3, 4
local messages = #ARGV - fixedArguments
local keysPerMessage = (#KEYS - fixedKeys) / messages

if messages > 1000 then
  return redis.error_reply('ERR at most 1000 messages can be published at once')
end

local length = redis.call('LLEN', queue)

local held = redis.call('GET', counter)
if not held then
  return redis.error_reply('COUNTER_MISSING ' .. counter .. ' does not exist')
end
if not (held == '0' or string.find(held, '^[1-9]%d*$')) or tonumber(held) > 9007199254740991 - messages then
  return redis.error_reply('COUNTER_INVALID ' .. counter .. ' must hold an integer from 0 to 2^53 - 1 with ids left above it')
end

-- A value that the daemon would not have written counts as absent.
local function inForce(text, maximum, default)
  local value = text and string.find(text, '^%d+$') and tonumber(text)
  return value and value >= 1 and value <= maximum and value or tonumber(default)
end
local limits = redis.call('HMGET', settings, 'message_limit', 'window_seconds')
local messageLimit = inForce(limits[1], 1000000000, ARGV[3])
local window = inForce(limits[2], 31536000, ARGV[4])

-- Per cache: the entries that this batch adds, or what is wrong with the key. Looked at once, however often it occurs.
local caches, cachesInOrder = {}, {}
local function cacheAt(key)
  local cache = caches[key]
  if not cache then
    cache = { key = key }
    local reply = redis.pcall('LLEN', key)
    if type(reply) ~= 'number' then
      cache.problem = reply.err
    end
    caches[key] = cache
    cachesInOrder[#cachesInOrder + 1] = cache
  end
  return cache
end

-- Per limiter: milliseconds until its window ends. The clock stands still while a script runs.
local waits = {}
local function count(limiter)
  local sent = redis.pcall('INCR', limiter)
  if type(sent) ~= 'number' then
    return nil, sent.err
  end
  local wait = waits[limiter]
  if not wait then
    wait = sent > 1 and redis.call('PTTL', limiter) or -1
    -- The first message opens the window. A counter that lost its TTL would limit its user for ever, and one that
    -- began under a longer window must not outlive the one in force.
    if wait < 0 or wait > window * 1000 then
      redis.call('EXPIRE', limiter, window)
      wait = window * 1000
    end
    waits[limiter] = wait
  end
  return sent, wait
end

local reply, taken = { length }, {}
for i = 1, messages do
  local first = fixedKeys + (i - 1) * keysPerMessage + 1
  local outcome
  if length + #taken >= maxQueueLength then
    outcome = 0
  end
  for k = first + 1, first + keysPerMessage - 1 do
    outcome = outcome or cacheAt(KEYS[k]).problem
  end
  if not outcome then
    local sent, detail = count(KEYS[first])
    if not sent then
      outcome = detail
    elseif sent > messageLimit then
      outcome = -math.max(detail, 1)
    else
      taken[#taken + 1] = i
    end
  end
  reply[i + 1] = outcome or false
end

if #taken == 0 then
  return reply
end

local id = redis.call('INCRBY', counter, #taken) - #taken
local entries = {}
for n, i in ipairs(taken) do
  id = id + 1
  -- Concatenating a number keeps 14 of its digits.
  local entry = '{"cache_id":' .. string.format('%.0f', id) .. ',"data":' .. ARGV[fixedArguments + i] .. '}'
  entries[n] = entry
  reply[i + 1] = id
  local first = fixedKeys + (i - 1) * keysPerMessage + 1
  for k = first + 1, first + keysPerMessage - 1 do
    if k == first + 1 or KEYS[k] ~= KEYS[k - 1] then
      local cache = caches[KEYS[k]]
      cache[#cache + 1] = entry
    end
  end
end

reply[1] = redis.call('RPUSH', queue, unpack(entries))

-- From here on the messages are taken, whatever becomes of the caches: an error must not say otherwise.
for _, cache in ipairs(cachesInOrder) do
  if #cache > 0 then
    local cached = redis.pcall('RPUSH', cache.key, unpack(cache))
    if type(cached) == 'number' and cached > maxCacheSize then
      redis.pcall('LTRIM', cache.key, -maxCacheSize, -1)
    end
  end
end

return reply
