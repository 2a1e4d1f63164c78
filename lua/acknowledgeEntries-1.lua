#!lua flags=allow-oom
--[[
  Removes entries from the head of a flush queue for as long as the head is one of the given ones.

  KEYS[1]  flush queue (list)

  ARGV     SHA-1 of each entry that may be removed, in lower-case hex; one that occurs twice may be removed twice

  Reply: the number of entries removed

  For the rare case that acknowledgeBatch does not recognise the head: another flusher removed a part of the batch, or
  the server lost its data since. It stops at the first entry that is not a given one, so it never removes another.

  It runs when the server is out of memory: removing is what frees it.
]]
local removable = {}
for _, sha1 in ipairs(ARGV) do
  removable[sha1] = (removable[sha1] or 0) + 1
end

local chunkLength = 16
local removed = 0
local more = true
while more do
  local chunk = redis.call('LRANGE', KEYS[1], removed, removed + chunkLength - 1)
  more = #chunk == chunkLength
  for _, entry in ipairs(chunk) do
    local sha1 = redis.sha1hex(entry)
    local left = removable[sha1] or 0
    if left == 0 then
      more = false
      break
    end
    removable[sha1] = left - 1
    removed = removed + 1
  end
end
if removed > 0 then
  redis.call('LTRIM', KEYS[1], removed, -1)
end
return removed
