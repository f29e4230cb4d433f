-- Tells the owners of jobs in hr:queue: a leader reads a long queue in the order of their places,
-- which depend on who they are of. It asks for all jobs at once, so it is as short as can be.
-- Arguments: epoch; jobs [ids].
-- Reply: {'OK', owner, owner, …}, with an empty text for who is not there.
-- Invariant: nothing is written.
need(args, {jobs = 'texts'})
if problem then return problem end
local found = {'OK'}
for _, id in ipairs(args.jobs) do
  local owner = redis.pcall('HGET', 'hr:job:' .. id, 'owner')
  if type(owner) == 'table' then object('WRONG_TYPE', 'hr:job:' .. id .. ' is no hash') end
  found[#found + 1] = owner or ''
end
return problem or found
