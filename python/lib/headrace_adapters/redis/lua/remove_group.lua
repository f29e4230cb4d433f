-- Removes a group, from its members too, with its quotas.
-- Arguments: epoch; name.
-- Writes: hr:groups, hr:quotas, hr:user:<name> and hr:memberships of each member, hr:events, hr:commits.
-- Reply: {'OK', 1} removed, {'OK', 0} there was none.
-- Invariant: nobody is a member of a group that is not there: one of the same name begins empty.
need(args, {name = 'text'})
expect('hr:groups', 'set')
expect('hr:users', 'set')
expect('hr:quotas', 'hash')
expect('hr:memberships', 'hash')
if problem then return problem end
if redis.call('SISMEMBER', 'hr:groups', args.name) == 0 then return {'OK', 0} end
local changed = {}
for _, user in ipairs(redis.call('SMEMBERS', 'hr:users')) do
  local key = 'hr:user:' .. user
  if not expect(key, 'hash') then return problem end
  local rest, member = {}, false
  for group in string.gmatch(redis.call('HGET', key, 'groups') or '', '%S+') do
    if group == args.name then member = true else rest[#rest + 1] = group end
  end
  if member then changed[#changed + 1] = {user, table.concat(rest, ' ')} end
end
redis.call('SREM', 'hr:groups', args.name)
local quota = 'group:' .. args.name
redis.call('HDEL', 'hr:quotas', quota, quota .. ':cpus', quota .. ':memory', quota .. ':jobs',
  quota .. ':gpus', quota .. ':cpu_hours', quota .. ':cpu_hours_days')
for _, change in ipairs(changed) do
  redis.call('HSET', 'hr:user:' .. change[1], 'groups', change[2])
  redis.call('HSET', 'hr:memberships', change[1], change[2])
  hint('kind', 'user', 'user', change[1])
end
commit()
return {'OK', 1}
