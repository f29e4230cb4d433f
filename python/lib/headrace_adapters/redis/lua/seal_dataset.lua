-- Makes an OPEN dataset immutable, after its manifest is in the store.
-- Arguments: epoch; id; doc (JSON with format, domain, manifest); index (hr:datasets:<category>:<format>);
--   item_count (that the manifest lists).
-- Writes: hr:dataset:<id>, hr:items:<id> (removed: the manifest has them), hr:open, index,
--   hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} it is SEALED already. Refuses NOT_FOUND, CONFLICT, STALE (items came).
-- Invariant: what is sealed is exactly what the manifest lists.
local key, items = 'hr:dataset:' .. args.id, 'hr:items:' .. args.id
expect(key, 'hash')
expect(items, 'hash')
expect('hr:open', 'zset')
expect(args.index, 'set')
if problem then return problem end
local state = redis.call('HGET', key, 'state')
if not state then return refuse('NOT_FOUND', 'there is no dataset ' .. args.id) end
if state == 'SEALED' then return {'OK', 0} end
if state ~= 'OPEN' then return refuse('CONFLICT', 'the dataset is ' .. state .. ', not OPEN') end
if redis.call('HLEN', items) ~= args.item_count then
  return refuse('STALE', 'items came while the manifest was written')
end
redis.call('ZREM', 'hr:open', args.id)
redis.call('DEL', items)
redis.call('HSET', key, 'state', 'SEALED', 'doc', args.doc)
redis.call('SADD', args.index, args.id)
hint('kind', 'dataset', 'dataset', args.id, 'state', 'SEALED')
commit()
return {'OK', 1}
