-- The names of datasets, and what their owners have; put behind the prelude, for the scripts that
-- touch `hr:names` or `hr:stored`.

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

-- The bytes of an item, as put_items.lua takes it; 0 for none.
local function item_bytes(item)
  return tonumber(string.match(item or '', '"size_bytes":(%d+)') or '0')
end

-- The owner of a dataset and its bytes, as a doc tells. Read before the first write: a wrong one is
-- an error.
local function holding(doc)
  local read = cjson.decode(doc)
  need(read, {owner = 'text', size_bytes = '?number'})
  return {owner = read.owner, bytes = read.size_bytes or 0}
end

-- The bytes that a dataset has; one from before they were counted is counted now.
local function bytes_of(id)
  local key = 'hr:dataset:' .. id
  local counted = redis.call('HGET', key, 'bytes')
  if counted then return tonumber(counted) end
  local at = redis.call('HMGET', key, 'state', 'doc')
  local doc, bytes = cjson.decode(at[2] or '{}'), 0
  if at[1] == 'TOMBSTONED' then return 0 end
  if doc.sealed_ms then return doc.size_bytes or 0 end
  for _, item in ipairs(redis.call('HVALS', 'hr:items:' .. id)) do bytes = bytes + item_bytes(item) end
  return bytes
end

-- Has a dataset count as so many bytes of its owner from now on. Each dataset keeps for how many it
-- counts, so that nothing counts twice, whatever is repeated.
local function count_bytes(id, owner, bytes)
  local key = 'hr:dataset:' .. id
  local counted = redis.call('HGET', key, 'bytes')
  if counted == text(bytes) then return end
  local stored = tonumber(redis.call('HGET', 'hr:stored', owner) or '0')
  redis.call('HSET', key, 'bytes', text(bytes))
  redis.call('HSET', 'hr:stored', owner, text(stored + bytes - tonumber(counted or '0')))
end
