-- Gives leadership up, so that the next replica need not wait for the lease to run out.
-- Arguments: epoch; role; holder.
-- Writes: hr:lease:<role>, hr:events, hr:commits.
-- Reply: {'OK', 1} given up, {'OK', 0} the caller did not hold it.
-- Invariant: the term stays, so that the next holder gets a higher one.
need(args, {role = 'text', holder = 'text'})
local key = 'hr:lease:' .. args.role
expect(key, 'hash')
if problem then return problem end
local held = redis.call('HMGET', key, 'holder', 'term')
if held[1] ~= args.holder then return {'OK', 0} end
if not held[2] then return refuse('WRONG_TYPE', key .. ' holds no term') end
begin_at_maxmemory(key)
redis.call('HSET', key, 'holder', '')
hint('kind', 'lease', 'role', args.role, 'term', held[2])
commit()
return {'OK', 1}
