-- Makes an OPEN dataset immutable, after its manifest is in the store.
-- Arguments: epoch; id; doc (JSON with format, domain, manifest); old (the doc it was decided
--   from); index (hr:datasets:<category>:<format>); changes (as read before the items were).
-- Writes: hr:dataset:<id>, hr:items:<id> (removed: the manifest has them), hr:open, index,
--   hr:unmarked (its SEALED marker is still to be written), hr:stored, hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} it is SEALED already.
--   Refuses NOT_FOUND, CONFLICT, STALE (items or the description changed since).
-- Invariant: what is sealed is exactly what the manifest lists.
need(args, {id = 'text', doc = 'text', old = 'text', index = 'text', changes = 'number'})
local held = holding(args.doc)
local key, items = 'hr:dataset:' .. args.id, 'hr:items:' .. args.id
expect(key, 'hash')
expect(items, 'hash')
expect('hr:open', 'zset')
expect('hr:unmarked', 'zset')
expect(args.index, 'set')
expect('hr:stored', 'hash')
if problem then return problem end
local at = redis.call('HMGET', key, 'state', 'changes', 'doc')
if not at[1] or at[1] == 'DELETED' or at[1] == 'TOMBSTONED' then
  return refuse('NOT_FOUND', 'there is no dataset ' .. args.id)
end
if at[1] == 'SEALED' then return {'OK', 0} end
if at[1] ~= 'OPEN' then return refuse('CONFLICT', 'the dataset is ' .. at[1] .. ', not OPEN') end
if (at[2] or '0') ~= text(args.changes) or at[3] ~= args.old then
  return refuse('STALE', 'the dataset changed while its manifest was written')
end
redis.call('ZREM', 'hr:open', args.id)
redis.call('DEL', items)
redis.call('HSET', key, 'state', 'SEALED', 'doc', args.doc)
redis.call('SADD', args.index, args.id)
redis.call('ZADD', 'hr:unmarked', now, args.id)
count_bytes(args.id, held.owner, held.bytes)
hint('kind', 'dataset', 'dataset', args.id, 'state', 'SEALED')
commit()
return {'OK', 1}
