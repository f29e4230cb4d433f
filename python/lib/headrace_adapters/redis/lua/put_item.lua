-- Adds or replaces one item of an OPEN dataset, after its bytes are in the store; or removes it.
-- Arguments: epoch; id; path; item (JSON: size_bytes, sha256, key; absent: remove).
-- Writes: hr:items:<id>, hr:dataset:<id> (changes, which a seal compares), hr:commits.
-- Reply: {'OK', item that was there before, or ''}. Refuses NOT_FOUND, CONFLICT (not OPEN).
-- Invariant: a SEALED dataset never changes.
need(args, {id = 'text', path = 'text', item = '?text'})
local key, items = 'hr:dataset:' .. args.id, 'hr:items:' .. args.id
expect(key, 'hash')
expect(items, 'hash')
if problem then return problem end
local at = redis.call('HMGET', key, 'state', 'changes')
if not at[1] then return refuse('NOT_FOUND', 'there is no dataset ' .. args.id) end
if at[1] ~= 'OPEN' then return refuse('CONFLICT', 'the dataset is ' .. at[1] .. ', not OPEN') end
local old = redis.call('HGET', items, args.path) or ''
if old == (args.item or '') then return {'OK', old} end
local changes = text(tonumber(at[2] or '0') + 1)
if args.item then
  redis.call('HSET', items, args.path, args.item)
else
  redis.call('HDEL', items, args.path)
end
redis.call('HSET', key, 'changes', changes)
commit()
return {'OK', old}
