-- Changes with whom a job is shared.
-- Arguments: epoch; job; old (the text it was decided from); shared (the new one); entry (of its
--   history, without status, attempt and version).
-- Writes: hr:job:<id>, hr:history:<id>, hr:events, hr:commits.
-- Reply: {'OK', 1}. Refuses NOT_FOUND, STALE (changed since).
-- Invariant: the job's version stays: whoever plans for it need not decide anew.
need(args, {job = 'text', old = 'text', shared = 'text', entry = 'texts'})
local key = 'hr:job:' .. args.job
expect(key, 'hash')
expect('hr:history:' .. args.job, 'list')
if problem then return problem end
local at = redis.call('HMGET', key, 'status', 'shared', 'attempt', 'version')
if not at[1] then return refuse('NOT_FOUND', 'there is no job ' .. args.job) end
if (at[2] or '') == args.shared then return {'OK', 1} end
if (at[2] or '') ~= args.old then return refuse('STALE', 'its shares changed meanwhile') end
local entry, version = args.entry, tonumber(at[4])
entry.from, entry.to, entry.attempt = at[1], at[1], tonumber(at[3])
if args.shared == '' then
  redis.call('HDEL', key, 'shared')
else
  redis.call('HSET', key, 'shared', args.shared)
end
history_entry(args.job, entry, version)
hint('kind', 'share', 'job', args.job)
commit()
return {'OK', 1}
