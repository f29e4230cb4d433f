-- Brings a SEALED dataset back into a catalogue that lost it, from its marker in the store; or one
-- that was DELETED and can still be undeleted, as such.
-- Arguments: epoch; id; name; version; doc; index (hr:datasets:<category>:<format>); purge_ms (until
--   when it can be undeleted; absent: it is SEALED).
-- Writes: hr:dataset:<id>, hr:items:<id> (of one that was OPEN), hr:open, hr:deleted, index,
--   hr:names (the name that one had when it was backed up is given back), hr:versions, hr:stored,
--   hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} the catalogue knows it as SEALED or deleted, or knows another dataset
--   by that name and version.
-- Invariant: what the catalogue knows is not changed by a marker, but for one that was OPEN when it
--   was backed up and sealed later.
need(args, {id = 'text', name = 'text', version = 'number', doc = 'text', index = 'text',
  purge_ms = '?number'})
local held = holding(args.doc)
local key, versioned = 'hr:dataset:' .. args.id, args.name .. '@' .. text(args.version)
expect(key, 'hash')
expect(args.index, 'set')
expect('hr:names', 'hash')
expect('hr:versions', 'hash')
expect('hr:tombstones', 'zset')
expect('hr:deleted', 'zset')
expect('hr:stored', 'hash')
expect('hr:open', 'zset')
expect('hr:items:' .. args.id, 'hash')
if problem then return problem end
local at = redis.call('HMGET', key, 'state', 'doc')
-- One that was OPEN may have been sealed later, whether it was deleted then or not.
local was_open = at[1] == 'OPEN' or (at[1] == 'DELETED' and not cjson.decode(at[2]).sealed_ms)
local named = redis.call('HGET', 'hr:names', versioned)
if (at[1] and not was_open) or redis.call('ZSCORE', 'hr:tombstones', args.id)
  or (named and named ~= args.id and not args.purge_ms) then
  return {'OK', 0}
end
local newest = redis.call('HGET', 'hr:names', args.name)
local highest = tonumber(redis.call('HGET', 'hr:versions', args.name) or '0')
redis.call('ZREM', 'hr:open', args.id)
redis.call('ZREM', 'hr:deleted', args.id)
redis.call('DEL', 'hr:items:' .. args.id)
local before = redis.call('HGET', key, 'name')
if before and before ~= args.name then drop_name(args.id, before, args.version) end
local state = args.purge_ms and 'DELETED' or 'SEALED'
redis.call('HSET', key, 'state', state, 'doc', args.doc, 'name', args.name,
  'version', text(args.version))
if args.purge_ms then
  drop_name(args.id, args.name, args.version)
  redis.call('ZADD', 'hr:deleted', args.purge_ms, args.id)
else
  redis.call('SADD', args.index, args.id)
  redis.call('HSET', 'hr:names', versioned, args.id)
  if not newest or args.version > highest then
    redis.call('HSET', 'hr:names', args.name, args.id)
  end
end
count_bytes(args.id, held.owner, held.bytes)
redis.call('HSET', 'hr:versions', args.name, text(math.max(highest, args.version)))
hint('kind', 'dataset', 'dataset', args.id, 'state', state)
commit()
return {'OK', 1}
