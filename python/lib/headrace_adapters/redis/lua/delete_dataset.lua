-- Deletes a dataset so that it can be brought back: nobody finds it, its files stay.
-- Arguments: epoch; id; old (the doc it was decided from); doc (the new one, with its times); name;
--   version; index (that a SEALED one is in); purge_ms (from when on it can't be brought back).
-- Writes: hr:dataset:<id>, index, hr:open, hr:unmarked (of one that was SEALED: the store says so
--   still), hr:names, hr:deleted (by purge_ms), hr:events, hr:commits. The items of one that was
--   OPEN stay.
-- Reply: {'OK', 1}; {'OK', 0} it was deleted already.
--   Refuses NOT_FOUND, LINKED (with the jobs), STALE (sealed, or described otherwise, since).
-- Invariant: a dataset that a live job uses is never deleted.
need(args, {id = 'text', old = 'text', doc = 'text', name = 'text', version = 'number',
  index = 'text', purge_ms = 'number'})
local key, links = 'hr:dataset:' .. args.id, 'hr:links:' .. args.id
expect(key, 'hash')
expect(links, 'set')
expect(args.index, 'set')
expect('hr:open', 'zset')
expect('hr:unmarked', 'zset')
expect('hr:deleted', 'zset')
expect('hr:names', 'hash')
if problem then return problem end
local at = redis.call('HMGET', key, 'state', 'doc')
if not at[1] or at[1] == 'TOMBSTONED' then
  return refuse('NOT_FOUND', 'there is no dataset ' .. args.id)
end
if at[1] == 'DELETED' then return {'OK', 0} end
if at[2] ~= args.old then return refuse('STALE', 'the dataset changed meanwhile') end
local users = redis.call('SMEMBERS', links)
if #users > 0 then return refuse('LINKED', table.concat(users, ' ')) end
redis.call('ZREM', 'hr:open', args.id)
redis.call('SREM', args.index, args.id)
drop_name(args.id, args.name, args.version)
redis.call('HSET', key, 'state', 'DELETED', 'doc', args.doc)
redis.call('ZADD', 'hr:deleted', args.purge_ms, args.id)
if at[1] == 'SEALED' then redis.call('ZADD', 'hr:unmarked', now, args.id) end
hint('kind', 'dataset', 'dataset', args.id, 'state', 'DELETED')
commit()
return {'OK', 1}
