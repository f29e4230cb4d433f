-- Tasks have ended on a node: each counts once, under the open lease that it ran under.
-- Arguments: epoch; node; incarnation; job; attempt; limit (retries of one task);
--   reports [{lease, done [lo, hi, …], failed [{index, cause, again, code, detail}], part}].
-- Writes: hr:array:<job>, hr:events, hr:commits.
-- Reply: {'OK', [total, waiting, running, done, failed]}. What is reported of a lease that is not
--   open, or of a task that does not run under it, is passed over.
--   Refuses INCARNATION, EPOCH, NOT_FOUND (there is no such array).
-- Invariant: DONE and FAILED are final; a lease without a running task is closed.
need(args, {node = 'text', incarnation = 'text', job = 'text', attempt = 'number', limit = 'number',
  reports = 'list'})
need_each(args.reports, {lease = 'number', done = 'list', failed = 'list', part = 'text'})
for _, report in ipairs(args.reports) do
  for _, index in ipairs(report.done) do
    if not is.number(index) then error('a done task is no number') end
  end
  if #report.done % 2 ~= 0 then error('done tasks come as pairs of lo and hi') end
  if string.find(report.part, '%s') then error('a part is one word') end
  need_each(report.failed,
    {index = 'number', cause = 'text', again = 'flag', code = 'text', detail = 'text'})
  for _, one in ipairs(report.failed) do
    if string.find(one.cause .. one.code, '%s') then error('a cause and a code are one word') end
  end
end
check_incarnation(args.node, args.incarnation)
local array = read_array(args.job)
if problem then return problem end
if not array then return refuse('NOT_FOUND', 'there is no array ' .. args.job) end

local open, accepted, back = {}, 0, false
for _, lease in ipairs(array.leases) do
  if lease.node == args.node and lease.attempt == args.attempt then open[lease.number] = lease end
end
local function ended(index, state)
  set_task(array, index, state)
  accepted = accepted + 1
end
for _, report in ipairs(args.reports) do
  local lease = open[report.lease]
  if lease then
    local spans = {}
    for place = 1, #report.done, 2 do
      local lo = math.max(report.done[place], lease.lo)
      for index = lo, math.min(report.done[place + 1], lease.hi) - 1 do
        if runs_under(array, index, lease) then
          ended(index, DONE)
          local last = spans[#spans]
          if last and last[2] == index then last[2] = index + 1
          else spans[#spans + 1] = {index, index + 1} end
        end
      end
    end
    if report.part ~= '' and #spans > 0 then
      for place, span in ipairs(spans) do spans[place] = text(span[1]) .. '-' .. text(span[2]) end
      array.part = array.part + 1
      array.set['p' .. text(array.part)] = report.part .. ' ' .. table.concat(spans, ',')
    end
    for _, one in ipairs(report.failed) do
      if runs_under(array, one.index, lease) then
        local field = 'f' .. text(one.index)
        local before = array.set[field] or redis.call('HGET', array.key, field)
        local tries = tonumber(string.match(before or '', '^(%d+) ') or 0) + 1
        local again = one.again and tries <= args.limit
        ended(one.index, again and WAITING or FAILED)
        back = back or again
        array.set[field] = table.concat({text(tries), one.cause,
          one.code ~= '' and one.code or '-', one.detail}, ' ')
      end
    end
  end
end
if accepted == 0 then return {'OK', array_counts(array)} end
for place = #array.leases, 1, -1 do
  local lease = array.leases[place]
  if open[lease.number] and #left_of(array, lease) == 0 then table.remove(array.leases, place) end
end
begin_at_maxmemory(array.key)
write_array(array)
if back or array.waiting + array.running == 0 then array_hint(array, args.job) end
commit()
return {'OK', array_counts(array)}
