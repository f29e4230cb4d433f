-- Tells a data service, in one instant, in what state datasets are, and in what status the
-- jobs whose outputs they are.
-- Arguments: epoch; role; term (absent: no leader asks); datasets [ids]; jobs [ids, in the same order; '': of no job].
-- Writes: nothing.
-- Reply: {'OK', hr:commits, [state, '' of one that is not in the catalogue], [status, '' of a job
--   that is not in Redis]}. Refuses TERM, EPOCH.
-- Invariant: a seal with the end of its job is seen whole, or not at all.
need(args, {role = 'text', term = '?number', datasets = 'list', jobs = 'list'})
if #args.datasets ~= #args.jobs then error('each dataset has a job, or none') end
for i, id in ipairs(args.datasets) do
  if not is.text(id) or not is.text(args.jobs[i]) then error('an id is no text') end
end
check_term(args.role, args.term)
for i, id in ipairs(args.datasets) do
  expect('hr:dataset:' .. id, 'hash')
  if args.jobs[i] ~= '' then expect('hr:job:' .. args.jobs[i], 'hash') end
end
if problem then return problem end
local states, statuses = {}, {}
for i, id in ipairs(args.datasets) do
  states[i] = redis.call('HGET', 'hr:dataset:' .. id, 'state') or ''
  statuses[i] = args.jobs[i] ~= '' and redis.call('HGET', 'hr:job:' .. args.jobs[i], 'status') or ''
end
return {'OK', redis.call('GET', 'hr:commits') or '0', states, statuses}
