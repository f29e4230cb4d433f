-- Removes final jobs whose pack is whole in the object store.
-- Arguments: epoch, term; pack (its name), newest_ms (when the last of its jobs ended);
--   jobs [{id, status, version, entered_ms, shared (the text, '' for nobody), attempt,
--   work [{node, run}]}] as the pack has them.
-- Writes: hr:job, hr:history, hr:attempt, hr:status, hr:derivation, hr:packs, hr:events, hr:commits.
-- Reply: {'OK', how many were removed}. Refuses TERM, EPOCH, WRONG_TYPE.
-- Invariants: a job that is removed is in a pack that hr:packs names, exactly as it was. It stays
--   while it differs from the pack (Redis was restored, or its shares changed, which leaves its
--   version), while a job that is not over waits for it, while an agent still has work of it or
--   files of its attempts are to leave the store (hr:untidy), and when it is an array.
need(args, {term = 'number', pack = 'text', newest_ms = 'number', jobs = 'list'})
need_each(args.jobs, {id = 'text', status = 'text', version = 'number', entered_ms = 'number',
  shared = 'text', attempt = 'number', work = 'list'})
check_term('data', args.term)
expect('hr:packs', 'zset')
expect('hr:untidy', 'zset')

local function awaited(parents)
  for parent in string.gmatch(parents or '', '%S+') do
    if expect('hr:job:' .. parent, 'hash')
      and redis.call('HGET', 'hr:job:' .. parent, 'status') == 'MODEL_EXEC:AWAITING_DERIVATION' then
      return true
    end
  end
  return false
end

local function has_work(work)
  for _, item in ipairs(work) do
    if expect('hr:work:' .. item.node, 'hash')
      and redis.call('HEXISTS', 'hr:work:' .. item.node, item.run) == 1 then
      return true
    end
  end
  return false
end

local going = {}
for _, job in ipairs(args.jobs) do
  need_each(job.work, {node = 'text', run = 'text'})
  if not string.find(job.status, '^CLOSED:') or job.status == 'CLOSED:STOPPED' then
    error('job ' .. job.id .. ' is not final: ' .. job.status)
  end
  local key = 'hr:job:' .. job.id
  expect(key, 'hash')
  expect('hr:history:' .. job.id, 'list')
  expect('hr:dependents:' .. job.id, 'set')
  expect('hr:status:' .. job.status, 'zset')
  for attempt = 1, job.attempt do
    expect('hr:attempt:' .. job.id .. '.' .. text(attempt), 'hash')
  end
  if problem then return problem end
  local at = redis.call('HMGET', key, 'status', 'version', 'entered_ms', 'parents', 'shared',
    'derivation')
  if at[6] and expect('hr:derivation:' .. at[6], 'string')
    and redis.call('GET', 'hr:derivation:' .. at[6]) == job.id then
    job.derivation = at[6]
  end
  if at[1] == job.status and at[2] == text(job.version) and at[3] == text(job.entered_ms)
    and (at[5] or '') == job.shared
    and redis.call('EXISTS', 'hr:dependents:' .. job.id, 'hr:array:' .. job.id) == 0
    and not redis.call('ZSCORE', 'hr:untidy', job.id)
    and not has_work(job.work) and not awaited(at[4]) then
    going[#going + 1] = job
  end
end
if problem then return problem end

begin_at_maxmemory('hr:lease:data')
for _, job in ipairs(going) do
  redis.call('ZREM', 'hr:status:' .. job.status, job.id)
  redis.call('DEL', 'hr:job:' .. job.id, 'hr:history:' .. job.id)
  if job.derivation then redis.call('DEL', 'hr:derivation:' .. job.derivation) end
  for attempt = 1, job.attempt do
    redis.call('DEL', 'hr:attempt:' .. job.id .. '.' .. text(attempt))
  end
end
if redis.call('ZADD', 'hr:packs', args.newest_ms, args.pack) == 1 or #going > 0 then
  hint('kind', 'pack', 'pack', args.pack, 'state', 'KEPT')
  commit()
end
return {'OK', #going}
