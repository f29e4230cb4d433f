-- The store holds nothing any more that attempts of a final job put there and no seal took.
-- Arguments: epoch; job.
-- Writes: hr:untidy, hr:commits.
-- Reply: {'OK', 1} noted, {'OK', 0} it was before.
-- Invariant: a job leaves hr:untidy only when its files are gone.
need(args, {job = 'text'})
expect('hr:untidy', 'zset')
if problem then return problem end
if redis.call('ZREM', 'hr:untidy', args.job) == 0 then return {'OK', 0} end
commit()
return {'OK', 1}
