-- Brings a deleted dataset back, as what it was: OPEN or SEALED.
-- Arguments: epoch; id; old (the doc it was decided from); doc (the new one); name (its own, or
--   another one); version; state (OPEN or SEALED); index (hr:datasets:<category>:<format>); newest
--   (the id that the name stood for when it was decided that it may, '' for none).
-- Writes: hr:dataset:<id>, hr:deleted, hr:names, hr:versions, hr:open, or index and hr:unmarked (the
--   store says DELETED still), hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} it is back already. Refuses NOT_FOUND (its files go, or are gone), STALE
--   (deleted otherwise, or the name stands for another one, since), CONFLICT: the name is taken.
-- Invariant: at most one OPEN version a name; a number never comes back with other contents.
need(args, {id = 'text', old = 'text', doc = 'text', name = 'text', version = 'number',
  state = 'text', index = 'text', newest = 'text'})
local key, versioned = 'hr:dataset:' .. args.id, args.name .. '@' .. text(args.version)
expect(key, 'hash')
expect(args.index, 'set')
expect('hr:open', 'zset')
expect('hr:unmarked', 'zset')
expect('hr:deleted', 'zset')
expect('hr:names', 'hash')
expect('hr:versions', 'hash')
local newest = nil
if not problem then newest = redis.call('HGET', 'hr:names', args.name) end
if newest then expect('hr:dataset:' .. newest, 'hash') end
if problem then return problem end
local at = redis.call('HMGET', key, 'state', 'doc', 'name')
if not at[1] or at[1] == 'TOMBSTONED' then
  return refuse('NOT_FOUND', 'the dataset ' .. args.id .. ' is gone, with its files')
end
if at[1] ~= 'DELETED' then return {'OK', 0} end
if at[2] ~= args.old or (newest or '') ~= args.newest then
  return refuse('STALE', 'the dataset, or what its name stands for, changed meanwhile')
end
local named = redis.call('HGET', 'hr:names', versioned)
local other = args.name ~= cjson.decode(args.old).name
if (named and named ~= args.id)
  or (other and (newest or redis.call('HEXISTS', 'hr:versions', args.name) == 1)) then
  return refuse('CONFLICT', 'the name ' .. args.name .. ' is taken, or was: give it another one')
end
if newest and args.state == 'OPEN'
  and redis.call('HGET', 'hr:dataset:' .. newest, 'state') == 'OPEN' then
  return refuse('CONFLICT', 'dataset ' .. args.name .. ' has a version that is being written: '
    .. 'seal or delete it first')
end
local latest = newest and tonumber(redis.call('HGET', 'hr:dataset:' .. newest, 'version') or '1') or 0
local highest = tonumber(redis.call('HGET', 'hr:versions', args.name) or '0')
redis.call('ZREM', 'hr:deleted', args.id)
redis.call('HSET', key, 'state', args.state, 'doc', args.doc, 'name', args.name)
redis.call('HSET', 'hr:names', versioned, args.id)
if args.version > latest then redis.call('HSET', 'hr:names', args.name, args.id) end
redis.call('HSET', 'hr:versions', args.name, text(math.max(highest, args.version)))
if args.state == 'OPEN' then
  redis.call('ZADD', 'hr:open', now, args.id)
else
  redis.call('SADD', args.index, args.id)
  redis.call('ZADD', 'hr:unmarked', now, args.id)
end
hint('kind', 'dataset', 'dataset', args.id, 'state', args.state)
commit()
return {'OK', 1}
