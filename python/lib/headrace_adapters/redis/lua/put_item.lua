-- Adds or replaces one item of an OPEN dataset, after its bytes are in the store.
-- Arguments: epoch; id; path; item (JSON: size_bytes, sha256, key).
-- Writes: hr:items:<id>, hr:commits.
-- Reply: {'OK', replaced item or ''}. Refuses NOT_FOUND, CONFLICT (not OPEN).
-- Invariant: a SEALED dataset never changes.
local key, items = 'hr:dataset:' .. args.id, 'hr:items:' .. args.id
expect(key, 'hash')
expect(items, 'hash')
if problem then return problem end
local state = redis.call('HGET', key, 'state')
if not state then return refuse('NOT_FOUND', 'there is no dataset ' .. args.id) end
if state ~= 'OPEN' then return refuse('CONFLICT', 'the dataset is ' .. state .. ', not OPEN') end
local old = redis.call('HGET', items, args.path) or ''
redis.call('HSET', items, args.path, args.item)
commit()
return {'OK', old}
