-- A node takes ranges of an array's waiting tasks, or learns anew which it holds.
-- Arguments: epoch; node; incarnation; job; attempt; most (tasks; 0: only what it holds already);
--   known (the highest lease number that the node knows of).
-- Writes: hr:array:<job>, hr:commits.
-- Reply: {'OK', [total, waiting, running, done, failed], JSON of [number, lo, hi, [lo, hi, …]]}:
--   the node's open leases above `known`, each with its tasks that have not ended; where there
--   are none, new ones. Refuses STALE (the node holds no share of the attempt), INCARNATION, EPOCH.
-- Invariant: a task runs under one open lease at most; a repeat takes nothing more.
need(args, {node = 'text', incarnation = 'text', job = 'text', attempt = 'number', most = 'number',
  known = 'number'})
check_incarnation(args.node, args.incarnation)
local run = args.job .. '.' .. text(args.attempt)
expect('hr:held:' .. args.node, 'hash')
expect('hr:job:' .. args.job, 'hash')
local array = read_array(args.job)
if problem then return problem end
local at = redis.call('HMGET', 'hr:job:' .. args.job, 'attempt', 'status')
if not array or at[1] ~= text(args.attempt)
  or redis.call('HEXISTS', 'hr:held:' .. args.node, run) == 0
  or (at[2] ~= 'MODEL_EXEC:SCHEDULED' and at[2] ~= 'MODEL_EXEC:RUNNING') then
  return refuse('STALE', 'node ' .. args.node .. ' has no part in attempt ' .. text(args.attempt)
    .. ' of job ' .. args.job)
end

local shown, most = {}, args.most
local function show(lease)
  shown[#shown + 1] = {lease.number, lease.lo, lease.hi, left_of(array, lease)}
end
for _, lease in ipairs(array.leases) do
  if lease.node == args.node and lease.attempt == args.attempt and lease.number > args.known then
    show(lease)
  end
end
if #shown == 0 then
  while most > 0 and array.waiting > 0 and #shown < 64 do
    local lo = array.low
    while task_state(array, lo) ~= WAITING do lo = lo + 1 end
    local hi = lo
    while most > 0 and hi < array.total and task_state(array, hi) == WAITING do
      set_task(array, hi, RUNNING)
      hi, most = hi + 1, most - 1
    end
    array.low, array.lease = hi, array.lease + 1
    local lease = {number = array.lease, node = args.node, attempt = args.attempt, lo = lo, hi = hi}
    array.leases[#array.leases + 1] = lease
    show(lease)
  end
  if #shown > 0 then
    write_array(array)
    commit()
  end
end
return {'OK', array_counts(array), #shown > 0 and cjson.encode(shown) or '[]'}
