-- Put in front of every script: whole(3, 5) raises when ARGV[3] or ARGV[5] is not a whole number. A script that fails
-- half-way is not undone by the server, so each that could names, before its first write, the arguments that it or the
-- server reads as numbers. Stricter than tonumber: "-0", "nan" and " 7" are numbers to Lua and none to the server.
local WHOLE_DIGITS = 16  -- what a double holds exactly, and more than any money or time of ours

-- `value`: text, or a number that came in JSON.
local function must_be_whole(value, name)
  local text = type(value) == 'number' and string.format('%.17g', value) or value
  if type(text) ~= 'string' or #text > WHOLE_DIGITS or not (text == '0' or string.find(text, '^%-?[1-9]%d*$')) then
    error(name .. ' is not a whole number')
  end
end

local function whole(...)
  for _, at in ipairs({...}) do must_be_whole(ARGV[at], 'argument ' .. at) end
end

