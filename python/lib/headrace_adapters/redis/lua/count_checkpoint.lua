-- Has the checkpoint that a rank leaves in the store count as so many bytes of the job's owner.
-- Arguments: epoch; job; attempt; rank; bytes (of the archive that is about to come).
-- Writes: hr:checkpoints:<job>, hr:stored, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} it counts so already, or the attempt is not the job's current one any more.
-- Invariant: hr:stored holds the bytes of an owner's datasets and of the newest checkpoints of their
-- jobs; those of a final job count until its files are gone (tidy_job.lua).
need(args, {job = 'text', attempt = 'number', rank = 'number', bytes = 'number'})
local key, job_key, rank = 'hr:checkpoints:' .. args.job, 'hr:job:' .. args.job, text(args.rank)
expect(key, 'hash')
expect(job_key, 'hash')
expect('hr:stored', 'hash')
if problem then return problem end
local at = redis.call('HMGET', job_key, 'attempt', 'status', 'owner')
if at[1] ~= text(args.attempt) or string.find(at[2], '^CLOSED:') then return {'OK', 0} end
local counted = redis.call('HGET', key, rank)
if counted == text(args.bytes) then return {'OK', 0} end
local stored = tonumber(redis.call('HGET', 'hr:stored', at[3]) or '0')
begin_at_maxmemory(key)
redis.call('HSET', key, rank, text(args.bytes))
redis.call('HSET', 'hr:stored', at[3], text(stored + args.bytes - tonumber(counted or '0')))
commit()
return {'OK', 1}
