-- Ranks the jobs in hr:queue anew, a part at a time: those of the version before, which put priority
-- strictly before age, have other ranks.
-- Arguments: epoch, role, term; jobs [ids]; last (flag: with these all are ranked).
-- Writes: hr:queue, hr:ranked (there once all are ranked), hr:commits.
-- Reply: {'OK', how many got another rank}; who is not in the queue is left alone.
-- Invariant: no job joins or leaves the queue.
need(args, {role = 'text', term = 'number', jobs = 'texts', last = 'flag'})
check_term(args.role, args.term)
expect('hr:queue', 'zset')
expect('hr:ranked', 'string')
for _, id in ipairs(args.jobs) do expect('hr:job:' .. id, 'hash') end
if problem then return problem end
local moved = 0
for _, id in ipairs(args.jobs) do
  local at = redis.call('HMGET', 'hr:job:' .. id, 'created_ms', 'priority', 'eligible_ms')
  local since_ms, priority = tonumber(at[3] or at[1] or ''), tonumber(at[2] or '')
  local rank = since_ms and priority and text(rank_of(since_ms, priority))
  local now_at = redis.call('ZSCORE', 'hr:queue', id)
  if rank and now_at and tonumber(now_at) ~= tonumber(rank) then
    redis.call('ZADD', 'hr:queue', rank, id)
    moved = moved + 1
  end
end
if args.last then redis.call('SET', 'hr:ranked', '1') end
commit()
return {'OK', moved}
