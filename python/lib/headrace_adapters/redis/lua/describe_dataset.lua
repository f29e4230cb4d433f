-- Changes the description, the expiry or the shares of a dataset.
-- Arguments: epoch; id; old (the doc it was decided from); doc (the new one).
-- Writes: hr:dataset:<id>, hr:unmarked (of a SEALED one: its marker says the old), hr:events,
--   hr:commits.
-- Reply: {'OK', 1}, also for a repeat, which changes nothing. Refuses NOT_FOUND, STALE (changed since, or deleted).
-- Invariant: no change is lost to a later one that did not know of it.
need(args, {id = 'text', old = 'text', doc = 'text'})
local key = 'hr:dataset:' .. args.id
expect(key, 'hash')
expect('hr:unmarked', 'zset')
if problem then return problem end
local at = redis.call('HMGET', key, 'state', 'doc')
if not at[1] then return refuse('NOT_FOUND', 'there is no dataset ' .. args.id) end
local gone = at[1] == 'DELETED' or at[1] == 'TOMBSTONED'
if not gone and at[2] == args.doc then return {'OK', 1} end
if gone or at[2] ~= args.old then
  return refuse('STALE', 'the dataset changed meanwhile')
end
redis.call('HSET', key, 'doc', args.doc)
if at[1] == 'SEALED' then redis.call('ZADD', 'hr:unmarked', now, args.id) end
hint('kind', 'dataset', 'dataset', args.id, 'state', at[1])
commit()
return {'OK', 1}
