#!lua flags=no-writes
--[[
  Reads entries of a flush queue from an id on, towards its head or its tail, without removing them.

  KEYS[1]  flush queue (list)

  ARGV[1]  'before': entries with this id and lower ones; 'after': entries with this id and higher ones
  ARGV[2]  the id; empty with 'before': from the tail on
  ARGV[3]  the most entries
  ARGV[4]  the most bytes of all entries together; the first entry is read however large it is

  Reply: { 1 if entries lie on the other side of the id, else 0; 1 if more lie beyond those that are read, else 0;
           then the entries, nearest to the id first }

  Ids ascend from head to tail, mostly without gaps, so the place of an id is found in a few steps, and in as many as the
  length has binary digits where there are gaps. Where somebody has put ids out of order, it is one of several places.
]]
local queue, isBefore = KEYS[1], ARGV[1] == 'before'
local maxEntries, maxBytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local chunkLength = 64
local length = redis.call('LLEN', queue)

-- An entry that is not a message counts as its next neighbour towards the head that is one. Where there is none nearby,
-- the place is taken to be too near rather than too far: what lies before it is passed over by the caller.
local function idAt(index)
  for i = index, math.max(index - 15, 0), -1 do
    local id = string.match(redis.call('LINDEX', queue, i), '^%s*{%s*"cache_id"%s*:%s*(%d+)')
    if id then
      return tonumber(id)
    end
  end
  return isBefore and 0 or math.huge
end

-- The index of the first entry whose id is not below this one.
local function placeOf(id)
  if length == 0 then
    return 0
  end
  -- Without gaps, the distance from either end tells the place. It is believed as far as it proves true.
  local low = math.min(math.max(length - 1 - (idAt(length - 1) - id), 0), length)
  local high = math.min(math.max(id - idAt(0), 0), length)
  if low > 0 and idAt(low - 1) >= id then
    low = 0
  end
  if high < low or high < length and idAt(high) < id then
    high = length
  end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if idAt(middle) >= id then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- The entries lie at first, first + step and so on, up to last.
local first, last, step
if isBefore then
  first = (ARGV[2] == '' and length or placeOf(tonumber(ARGV[2]) + 1)) - 1
  last, step = 0, -1
else
  first = placeOf(tonumber(ARGV[2]))
  last, step = length - 1, 1
end
local isInside = isBefore and first < length - 1 or not isBefore and first > 0

local reply, bytes, taken = { isInside and 1 or 0, 0 }, 0, 0
local from = first
while taken < maxEntries and (last - from) * step >= 0 do
  local count = math.min(chunkLength, maxEntries - taken, (last - from) * step + 1)
  local to = from + (count - 1) * step
  local chunk = redis.call('LRANGE', queue, math.min(from, to), math.max(from, to))
  for i = 1, count do
    local entry = chunk[isBefore and count + 1 - i or i]
    bytes = bytes + #entry
    if bytes > maxBytes and taken > 0 then
      reply[2] = 1
      return reply
    end
    taken = taken + 1
    reply[taken + 2] = entry
  end
  from = to + step
end
if (last - from) * step >= 0 then
  reply[2] = 1
end
return reply
