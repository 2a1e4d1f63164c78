#!lua flags=no-writes
--[[
  Reads entries from the head of a flush queue without removing them.

  KEYS[1]  flush queue (list)

  ARGV[1]  the most entries
  ARGV[2]  the most bytes of all entries together; the first entry is read however large it is

  Reply: the entries, oldest first

  It reads 16 at a time, so that a queue of very large entries is not copied as a whole before it is measured.
]]
local maxEntries, maxBytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local chunkLength = 16

local head, bytes = {}, 0
while #head < maxEntries do
  local start = #head
  local chunk = redis.call('LRANGE', KEYS[1], start, math.min(start + chunkLength, maxEntries) - 1)
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
