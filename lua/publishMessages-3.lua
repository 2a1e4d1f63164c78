#!lua
--[[
  Takes a batch of up to 1000 messages of one queue in one atomic step: counts each against its owner's rate limit,
  gives it the next id, and appends it to the flush queue and to the recent caches that show it.

  KEYS[1]    flush queue (list)
  KEYS[2]    id counter (integer)
  KEYS[3]    rate-limit settings in force (hash: message_limit, window_seconds)
  KEYS[4..]  each key of the batch once: first the limiters, then the caches that last, then those that expire

  ARGV[1]    the longest that the queue may get
  ARGV[2]    length of a recent cache
  ARGV[3]    message_limit, where the settings hold none
  ARGV[4]    window_seconds, where the settings hold none
  ARGV[5]    milliseconds after which a cache that expires does so, unless a message comes
  ARGV[6]    number of limiters
  ARGV[7]    number of caches that last
  ARGV[8]    per message, in order, six bytes: the places of its owner's limiter among the limiters, and of the two caches
             that show it among the caches, each from 0 on and as two digits to the base of 128. Twice the same cache
             shows the message once.
  ARGV[9..]  per message its payload, which is JSON text and is spliced in as it is

  Reply: { length of the queue afterwards, then one item per message, in order }
    an integer above 0  taken: its id
    0                   not taken: the queue is full
    an integer below 0  not taken: over the limit for that many milliseconds
    a text              not taken: what is wrong with the limiter of this message or a cache that lasts

  Errors, all of them before the first write:
    COUNTER_MISSING     the counter must be raised first (raiseCounter)
    COUNTER_INVALID     the counter holds no integer, or no ids are left below 2^53
    OOM, READONLY, MISCONF, NOREPLICAS: the first line has the server refuse the script before it starts.

  An error in a script rolls nothing back. So every check stands before the first write of what it protects, a message
  is refused before any of its keys is written, and the queue is written before the caches. A cache that expires is not
  looked at beforehand: no message is refused for what its reader can do without.
]]
-- A local is found faster than a global, and some of these are looked up several times for each message.
local KEYS, ARGV = KEYS, ARGV
local call, attempt, byte = redis.call, redis.pcall, string.byte

local queue, counter, settings = KEYS[1], KEYS[2], KEYS[3]
local maxQueueLength, maxCacheSize = tonumber(ARGV[1]), tonumber(ARGV[2])
local idle, limiters, lasting, places = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local fixedArguments = 8
local firstLimiter = 4
local firstCache = firstLimiter + limiters
local messages = #ARGV - fixedArguments

if messages > 1000 then
  return redis.error_reply('ERR at most 1000 messages can be published at once')
end

local length = call('LLEN', queue)

local held = call('GET', counter)
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
local limits = call('HMGET', settings, 'message_limit', 'window_seconds')
local messageLimit = inForce(limits[1], 1000000000, ARGV[3])
local window = inForce(limits[2], 31536000, ARGV[4])

-- By key: the entries that this batch adds to a cache, and what is wrong with it.
local caches, problems = {}, {}
for k = firstCache, #KEYS do
  caches[k] = {}
  if k < firstCache + lasting then
    local reply = attempt('LLEN', KEYS[k])
    if type(reply) ~= 'number' then
      problems[k] = reply.err
    end
  end
end

-- Per limiter: milliseconds until its window ends. The clock stands still while a script runs.
local waits = {}

local reply, taken, shownIn, alsoIn = { length }, {}, {}, {}
local accepted, room = 0, maxQueueLength - length
for i = 1, messages do
  local a, b, c, d, e, f = byte(places, 6 * i - 5, 6 * i)
  local one, other = firstCache + c * 128 + d, firstCache + e * 128 + f
  local outcome = accepted >= room and 0 or problems[one] or problems[other]
  if not outcome then
    local k = firstLimiter + a * 128 + b
    local sent = attempt('INCR', KEYS[k])
    if type(sent) ~= 'number' then
      outcome = sent.err
    else
      local wait = waits[k] or sent > 1 and call('PTTL', KEYS[k]) or -1
      -- The first message opens the window. A counter that lost its TTL would limit its user for ever, and one that
      -- began under a longer window must not outlive the one in force.
      if wait < 0 or wait > window * 1000 then
        call('EXPIRE', KEYS[k], window)
        wait = window * 1000
      end
      waits[k] = wait
      if sent > messageLimit then
        outcome = -math.max(wait, 1)
      else
        accepted = accepted + 1
        taken[accepted], shownIn[accepted], alsoIn[accepted] = i, one, other
      end
    end
  end
  reply[i + 1] = outcome or false
end

if accepted == 0 then
  return reply
end

-- Ids in a row differ in their last digit, and writing out a number is the most expensive part of an entry.
local digits = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' }
local id = call('INCRBY', counter, accepted) - accepted
local last = id % 10
local function upToLast()
  local tens = (id - last) / 10
  return '{"cache_id":' .. (tens > 0 and string.format('%.0f', tens) or '')
end
local start = upToLast()
local entries = {}
for n = 1, accepted do
  id, last = id + 1, last + 1
  if last == 10 then
    last = 0
    start = upToLast()
  end
  local i, one, other = taken[n], shownIn[n], alsoIn[n]
  local entry = start .. digits[last] .. ',"data":' .. ARGV[fixedArguments + i] .. '}'
  entries[n] = entry
  reply[i + 1] = id
  local cache = caches[one]
  cache[#cache + 1] = entry
  if other ~= one then
    cache = caches[other]
    cache[#cache + 1] = entry
  end
end

reply[1] = call('RPUSH', queue, unpack(entries))

-- From here on the messages are taken, whatever becomes of the caches: an error must not say otherwise.
for k = firstCache, #KEYS do
  local cache, key = caches[k], KEYS[k]
  if #cache > 0 then
    local cached = attempt('RPUSH', key, unpack(cache))
    if type(cached) == 'number' and cached > maxCacheSize then
      attempt('LTRIM', key, -maxCacheSize, -1)
    end
    if k >= firstCache + lasting then
      attempt('PEXPIRE', key, idle)
    end
  end
end

return reply
