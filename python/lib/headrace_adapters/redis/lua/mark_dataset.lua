-- The marker of a dataset, SEALED or DELETED, is in the store and says what the catalogue says.
-- Arguments: epoch; id; doc (that the marker holds).
-- Writes: hr:unmarked, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} the catalogue says something else by now: write the marker again.
-- Invariant: a dataset leaves hr:unmarked only with a marker that is true.
need(args, {id = 'text', doc = 'text'})
local key = 'hr:dataset:' .. args.id
expect(key, 'hash')
expect('hr:unmarked', 'zset')
if problem then return problem end
if redis.call('HGET', key, 'doc') ~= args.doc then return {'OK', 0} end
redis.call('ZREM', 'hr:unmarked', args.id)
commit()
return {'OK', 1}
