-- The store holds nothing any more that attempts of a final job put there and no seal took.
-- Arguments: epoch; job.
-- Writes: hr:untidy, hr:checkpoints:<job>, hr:stored (its checkpoints count no longer), hr:commits.
-- Reply: {'OK', 1} noted, {'OK', 0} it was before.
-- Invariant: a job leaves hr:untidy only when its files are gone.
need(args, {job = 'text'})
local key, job_key, bytes = 'hr:checkpoints:' .. args.job, 'hr:job:' .. args.job, 0
expect('hr:untidy', 'zset')
expect(key, 'hash')
expect(job_key, 'hash')
expect('hr:stored', 'hash')
if problem then return problem end
if redis.call('ZREM', 'hr:untidy', args.job) == 0 then return {'OK', 0} end
for _, counted in ipairs(redis.call('HVALS', key)) do bytes = bytes + tonumber(counted) end
if bytes > 0 then
  local owner = redis.call('HGET', job_key, 'owner')
  local stored = tonumber(redis.call('HGET', 'hr:stored', owner) or '0')
  redis.call('DEL', key)
  redis.call('HSET', 'hr:stored', owner, text(stored - bytes))
end
commit()
return {'OK', 1}
