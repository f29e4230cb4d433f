-- Brings a SEALED dataset back into a catalogue that lost it, from its marker in the store.
-- Arguments: epoch; id; name; version; doc; index (hr:datasets:<category>:<format>).
-- Writes: hr:dataset:<id>, hr:items:<id> (of one that was OPEN), hr:open, index, hr:names (the name
--   that one had when it was backed up is given back), hr:versions, hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} the catalogue knows it as SEALED or deleted, or knows another dataset
--   by that name and version.
-- Invariant: what the catalogue knows is not changed by a marker, but for one that was OPEN when it
--   was backed up and sealed later.
need(args, {id = 'text', name = 'text', version = 'number', doc = 'text', index = 'text'})
local key, versioned = 'hr:dataset:' .. args.id, args.name .. '@' .. text(args.version)
expect(key, 'hash')
expect(args.index, 'set')
expect('hr:names', 'hash')
expect('hr:versions', 'hash')
expect('hr:tombstones', 'zset')
expect('hr:open', 'zset')
expect('hr:items:' .. args.id, 'hash')
if problem then return problem end
local state = redis.call('HGET', key, 'state')
local named = redis.call('HGET', 'hr:names', versioned)
if (state and state ~= 'OPEN') or redis.call('ZSCORE', 'hr:tombstones', args.id)
  or (named and named ~= args.id) then
  return {'OK', 0}
end
local newest = redis.call('HGET', 'hr:names', args.name)
local highest = tonumber(redis.call('HGET', 'hr:versions', args.name) or '0')
redis.call('ZREM', 'hr:open', args.id)
redis.call('DEL', 'hr:items:' .. args.id)
local before = redis.call('HGET', key, 'name')
if before and before ~= args.name then
  local older = nil
  for version = args.version - 1, 1, -1 do
    older = redis.call('HGET', 'hr:names', before .. '@' .. text(version))
    if older then break end
  end
  if redis.call('HGET', 'hr:names', before .. '@' .. text(args.version)) == args.id then
    redis.call('HDEL', 'hr:names', before .. '@' .. text(args.version))
  end
  if redis.call('HGET', 'hr:names', before) == args.id then
    if older then redis.call('HSET', 'hr:names', before, older)
    else redis.call('HDEL', 'hr:names', before) end
  end
end
redis.call('HSET', key, 'state', 'SEALED', 'doc', args.doc, 'name', args.name,
  'version', text(args.version))
redis.call('SADD', args.index, args.id)
redis.call('HSET', 'hr:names', versioned, args.id)
if not newest or args.version > highest then
  redis.call('HSET', 'hr:names', args.name, args.id)
end
redis.call('HSET', 'hr:versions', args.name, text(math.max(highest, args.version)))
hint('kind', 'dataset', 'dataset', args.id, 'state', 'SEALED')
commit()
return {'OK', 1}
