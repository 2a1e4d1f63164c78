#!lua flags=no-writes
--[[
  Finds what the user that calls it must not do. Executes none of it.

  ARGV     per right, the number of words of a command, and then the words: a whole command with all of its arguments,
           since Valkey 8.0 ends in a fault when it is asked about EVAL without any

  Reply: the numbers of the rights that are missing, counted from 1

  The keys are in ARGV and not in KEYS, because none is accessed: a user without a right to one of them could not even
  call the script.
]]
local missing = {}
local right, position = 0, 1
while position <= #ARGV do
  local words = tonumber(ARGV[position])
  right = right + 1
  if not redis.acl_check_cmd(unpack(ARGV, position + 1, position + words)) then
    missing[#missing + 1] = right
  end
  position = position + words + 1
end
return missing
