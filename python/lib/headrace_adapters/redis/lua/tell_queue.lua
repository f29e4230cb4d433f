-- Tells the ranks and owners of jobs in hr:queue: a leader reads a long queue in the order of their
-- places, which depend on both.
-- Arguments: epoch; jobs [ids].
-- Reply: {'OK', rank, owner, rank, owner, …}, with two empty texts for who is not in the queue.
-- Invariant: nothing is written.
need(args, {jobs = 'texts'})
expect('hr:queue', 'zset')
for _, id in ipairs(args.jobs) do expect('hr:job:' .. id, 'hash') end
if problem then return problem end
local found = {'OK'}
for _, id in ipairs(args.jobs) do
  local rank = redis.call('ZSCORE', 'hr:queue', id)
  local owner = rank and redis.call('HGET', 'hr:job:' .. id, 'owner')
  found[#found + 1] = owner and rank or ''
  found[#found + 1] = owner or ''
end
return found
