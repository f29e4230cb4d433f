-- Marks a dataset as deleted for good, also one that could be brought back until now; its files
-- may be removed from the store afterwards.
-- Arguments: epoch; id; doc (it was decided from); name; version; index (that a SEALED one is in).
-- Writes: hr:dataset:<id>, index, hr:open, hr:unmarked, hr:deleted, hr:names, hr:items:<id>,
--   hr:tombstones, hr:stored, hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} it was deleted already.
--   Refuses NOT_FOUND, LINKED (with the jobs), STALE (sealed, described otherwise, or brought back, since).
-- Invariant: a dataset that a live job uses is never deleted.
need(args, {id = 'text', doc = 'text', name = 'text', version = 'number', index = 'text'})
local held = holding(args.doc)
local key, links, items = 'hr:dataset:' .. args.id, 'hr:links:' .. args.id, 'hr:items:' .. args.id
expect(key, 'hash')
expect(links, 'set')
expect(items, 'hash')
expect(args.index, 'set')
expect('hr:open', 'zset')
expect('hr:unmarked', 'zset')
expect('hr:deleted', 'zset')
expect('hr:names', 'hash')
expect('hr:tombstones', 'zset')
expect('hr:stored', 'hash')
if problem then return problem end
local at = redis.call('HMGET', key, 'state', 'doc')
if not at[1] then return refuse('NOT_FOUND', 'there is no dataset ' .. args.id) end
if at[1] == 'TOMBSTONED' then return {'OK', 0} end
if at[2] ~= args.doc then return refuse('STALE', 'the dataset changed meanwhile') end
local users = redis.call('SMEMBERS', links)
if #users > 0 then return refuse('LINKED', table.concat(users, ' ')) end
redis.call('ZREM', 'hr:open', args.id)
redis.call('ZREM', 'hr:unmarked', args.id)
redis.call('ZREM', 'hr:deleted', args.id)
redis.call('SREM', args.index, args.id)
redis.call('DEL', items)
drop_name(args.id, args.name, args.version)
redis.call('HSET', key, 'state', 'TOMBSTONED')
count_bytes(args.id, held.owner, 0)
redis.call('ZADD', 'hr:tombstones', now, args.id)
hint('kind', 'dataset', 'dataset', args.id, 'state', 'TOMBSTONED')
commit()
return {'OK', 1}
