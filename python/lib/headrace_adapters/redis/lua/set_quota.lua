-- Gives a user or a group quotas, or takes some away.
-- Arguments: epoch; kind (user or group); name; limits [{what, limit (absent: none)}]: `what` is
--   empty for what datasets hold (bytes), else a part of headrace_model/quota.py.
-- Writes: hr:quotas (`<kind>:<name>` → bytes, `<kind>:<name>:<what>` → number), hr:commits.
-- Reply: {'OK', 1}. Refuses NOT_FOUND (no such user or group).
-- Invariant: who is not there has no quota.
need(args, {kind = 'text', name = 'text', limits = 'list'})
need_each(args.limits, {what = 'text', limit = '?number'})
expect('hr:quotas', 'hash')
expect('hr:groups', 'set')
expect('hr:user:' .. args.name, 'hash')
if problem then return problem end
local there = 0
if args.kind == 'user' then there = redis.call('EXISTS', 'hr:user:' .. args.name)
else there = redis.call('SISMEMBER', 'hr:groups', args.name) end
if there == 0 then return refuse('NOT_FOUND', 'there is no ' .. args.kind .. ' ' .. args.name) end
for _, one in ipairs(args.limits) do
  local field = args.kind .. ':' .. args.name .. (one.what ~= '' and ':' .. one.what or '')
  if one.limit then redis.call('HSET', 'hr:quotas', field, text(one.limit))
  else redis.call('HDEL', 'hr:quotas', field) end
end
commit()
return {'OK', 1}
