-- Drops what Redis still holds of a deleted dataset, after its files have left the store.
-- Arguments: epoch; id.
-- Writes: hr:tombstones, hr:dataset:<id>, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} it was dropped already. Refuses CONFLICT (it is not TOMBSTONED).
-- Invariant: only a TOMBSTONED dataset is dropped.
need(args, {id = 'text'})
local key = 'hr:dataset:' .. args.id
expect(key, 'hash')
expect('hr:tombstones', 'zset')
if problem then return problem end
local state = redis.call('HGET', key, 'state')
if state and state ~= 'TOMBSTONED' then return refuse('CONFLICT', 'the dataset is ' .. state) end
local dropped = redis.call('ZREM', 'hr:tombstones', args.id)
redis.call('DEL', key)
commit()
return {'OK', dropped}
