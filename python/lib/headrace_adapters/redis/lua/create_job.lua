-- Accepts a job: afterwards it is durable and in its first step that has work.
-- Arguments: epoch; new {id, fields, entries, status, tasks}; after [job ids that must exist];
--   idempotency {key, fingerprint, ttl_ms} or absent.
-- Writes: hr:job, hr:array, hr:history, hr:status, hr:queue, hr:idempotency, hr:dependents,
--   hr:events, hr:commits.
-- Reply: {'OK', id, created_ms}; for a repeat (same id, or same idempotency key and fingerprint)
--   the first job's. Refuses CONFLICT (key used for something else), NOT_FOUND (an `after`),
--   MAINTENANCE (nothing new is taken).
-- Invariant: a job exists with its history, its status index and its hint, or not at all.
local new, once = args.new, args.idempotency
need(args, {after = 'list'})
check_new_job(new)
if once then
  need(once, {key = 'text', fingerprint = 'text', ttl_ms = 'number'})
  if once.ttl_ms <= 0 then error('an idempotency key must last') end
  expect('hr:idempotency:' .. once.key, 'string')
end
for _, id in ipairs(args.after) do
  expect('hr:job:' .. id, 'hash')
  expect('hr:dependents:' .. id, 'set')
end
if problem then return problem end
if redis.call('EXISTS', 'hr:job:' .. new.id) == 1 then
  return {'OK', new.id, redis.call('HGET', 'hr:job:' .. new.id, 'created_ms')}
end
if once then
  local seen = redis.call('GET', 'hr:idempotency:' .. once.key)
  if seen then
    local id, fingerprint, created_ms = string.match(seen, '^(%S+) (%S+) ?(%d*)$')
    if fingerprint ~= once.fingerprint then
      return refuse('CONFLICT', 'this Idempotency-Key was used for another job: ' .. id)
    end
    return {'OK', id, created_ms ~= '' and created_ms or text(now)}
  end
end
for _, id in ipairs(args.after) do
  if redis.call('EXISTS', 'hr:job:' .. id) == 0 then
    return refuse('NOT_FOUND', 'after: there is no job ' .. id)
  end
end
local closed = closed_for_new_work()
if closed then return closed end
add_job(new)
-- Until this job is final, the jobs that it waits for stay in Redis.
for _, id in ipairs(args.after) do redis.call('SADD', 'hr:dependents:' .. id, new.id) end
if once then
  redis.call('SET', 'hr:idempotency:' .. once.key,
    new.id .. ' ' .. once.fingerprint .. ' ' .. text(now), 'PX', text(once.ttl_ms))
end
commit()
return {'OK', new.id, text(now)}
