-- Gives leadership up, so that the next replica need not wait for the lease to run out.
-- Arguments: epoch; role; holder.
-- Writes: hr:lease:<role>, hr:events, hr:commits.
-- Reply: {'OK', 1} given up, {'OK', 0} the caller did not hold it.
-- Invariant: the term stays, so that the next holder gets a higher one.
local key = 'hr:lease:' .. args.role
expect(key, 'hash')
if problem then return problem end
if redis.call('HGET', key, 'holder') ~= args.holder then return {'OK', 0} end
redis.call('HSET', key, 'holder', '')
hint('kind', 'lease', 'role', args.role, 'term', redis.call('HGET', key, 'term'))
commit()
return {'OK', 1}
