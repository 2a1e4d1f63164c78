#!lua flags=no-writes
--[[
  Reads entries from the head of a flush queue, or from behind it, without removing them.

  KEYS[1]  flush queue (list)

  ARGV[1]  the most entries
  ARGV[2]  the most bytes of all entries together; the first entry is read however large it is
  ARGV[3]  how many entries of the head to pass over, none unless given
  ARGV[4]  optionally, the number of entries that the caller has read before and expects at the head
  ARGV[5]  SHA-1 of the first of them, in lower-case hex
  ARGV[6]  SHA-1 of the last of them

  Reply: the entries, oldest first; nil if those at the head are the expected ones

  It reads 16 at a time, so that a queue of very large entries is not copied as a whole before it is measured.
]]
local maxEntries, maxBytes, skip = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3] or '0')
local chunkLength = 16

local function isAt(index, sha1)
  local entry = redis.call('LINDEX', KEYS[1], index)
  return entry and redis.sha1hex(entry) == sha1
end

if ARGV[4] and isAt(0, ARGV[5]) and isAt(tonumber(ARGV[4]) - 1, ARGV[6]) then
  return nil
end

local head, bytes = {}, 0
while #head < maxEntries do
  local start = skip + #head
  local chunk = redis.call('LRANGE', KEYS[1], start, math.min(start + chunkLength, skip + maxEntries) - 1)
  for _, entry in ipairs(chunk) do
    bytes = bytes + #entry
    if bytes > maxBytes and #head > 0 then
      return head
    end
    head[#head + 1] = entry
  end
  if #chunk < chunkLength then
    return head
  end
end
return head
