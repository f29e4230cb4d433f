-- Changes with whom a job is shared.
-- Arguments: epoch; job; old (the text it was decided from); shared (the new one).
-- Writes: hr:job:<id>, hr:events, hr:commits.
-- Reply: {'OK', 1}. Refuses NOT_FOUND, STALE (changed since).
-- Invariant: the job's version stays: whoever plans for it need not decide anew.
need(args, {job = 'text', old = 'text', shared = 'text'})
local key = 'hr:job:' .. args.job
expect(key, 'hash')
if problem then return problem end
local at = redis.call('HMGET', key, 'status', 'shared')
if not at[1] then return refuse('NOT_FOUND', 'there is no job ' .. args.job) end
if (at[2] or '') == args.shared then return {'OK', 1} end
if (at[2] or '') ~= args.old then return refuse('STALE', 'its shares changed meanwhile') end
if args.shared == '' then
  redis.call('HDEL', key, 'shared')
else
  redis.call('HSET', key, 'shared', args.shared)
end
hint('kind', 'share', 'job', args.job)
commit()
return {'OK', 1}
