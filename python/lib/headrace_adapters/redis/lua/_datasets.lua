-- The names of datasets; put behind the prelude, for the scripts that touch `hr:names`.

-- Takes a dataset from its name, which then stands for the highest version below it, if any.
local function drop_name(id, name, version)
  local versioned = name .. '@' .. text(version)
  if redis.call('HGET', 'hr:names', versioned) == id then redis.call('HDEL', 'hr:names', versioned) end
  if redis.call('HGET', 'hr:names', name) ~= id then return end
  local older = nil
  for below = version - 1, 1, -1 do
    older = redis.call('HGET', 'hr:names', name .. '@' .. text(below))
    if older then break end
  end
  if older then redis.call('HSET', 'hr:names', name, older)
  else redis.call('HDEL', 'hr:names', name) end
end
