-- Brings a SEALED dataset back into a catalogue that lost it, from its marker in the store.
-- Arguments: epoch; id; name; version; doc; index (hr:datasets:<category>:<format>).
-- Writes: hr:dataset:<id>, index, hr:names, hr:versions, hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} the catalogue knows it (also as deleted), or knows another dataset
--   by that name and version.
-- Invariant: what the catalogue knows is never changed by a marker.
need(args, {id = 'text', name = 'text', version = 'number', doc = 'text', index = 'text'})
local key, versioned = 'hr:dataset:' .. args.id, args.name .. '@' .. text(args.version)
expect(key, 'hash')
expect(args.index, 'set')
expect('hr:names', 'hash')
expect('hr:versions', 'hash')
expect('hr:tombstones', 'zset')
if problem then return problem end
if redis.call('EXISTS', key) == 1 or redis.call('ZSCORE', 'hr:tombstones', args.id)
  or redis.call('HEXISTS', 'hr:names', versioned) == 1 then
  return {'OK', 0}
end
local newest = redis.call('HGET', 'hr:names', args.name)
local highest = tonumber(redis.call('HGET', 'hr:versions', args.name) or '0')
redis.call('HSET', key, 'state', 'SEALED', 'doc', args.doc)
redis.call('SADD', args.index, args.id)
redis.call('HSET', 'hr:names', versioned, args.id)
if not newest or args.version > highest then
  redis.call('HSET', 'hr:names', args.name, args.id)
end
redis.call('HSET', 'hr:versions', args.name, text(math.max(highest, args.version)))
hint('kind', 'dataset', 'dataset', args.id, 'state', 'SEALED')
commit()
return {'OK', 1}
