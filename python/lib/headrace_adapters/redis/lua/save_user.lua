-- Makes a user, or changes one.
-- Arguments: epoch; name; create (flag); set (fields of the user); join, leave (names of groups);
--   most (groups one user may be in).
-- Writes: hr:user:<name>, hr:memberships, hr:users (a new one), and for a user who becomes disabled or gets another
--   password the tokens: hr:token:<sha256>, hr:tokens:<name>; for one who becomes disabled or enabled
--   the mark `disabled` in hr:webhooks:<name>; hr:events, hr:commits.
-- Reply: {'OK', 1} made or changed; {'OK', 0} a user to be created is there already, nothing was
--   changed. Refuses NOT_FOUND (no such user or group), CONFLICT (the last admin would be lost; too
--   many groups).
-- Invariant: there is always an enabled admin once there was one; a disabled user has no token, and
--   no webhook of theirs is told; no token is older than the password.
need(args, {name = 'text', create = 'flag', set = 'texts', join = 'list', leave = 'list',
  most = 'number'})
local key, tokens = 'hr:user:' .. args.name, 'hr:tokens:' .. args.name
local webhooks = 'hr:webhooks:' .. args.name
expect(webhooks, 'hash')
expect(key, 'hash')
expect(tokens, 'set')
expect('hr:users', 'set')
expect('hr:groups', 'set')
expect('hr:memberships', 'hash')
if problem then return problem end
local there = redis.call('EXISTS', key) == 1
if args.create and there then return {'OK', 0} end
if not args.create and not there then
  return refuse('NOT_FOUND', 'there is no user ' .. args.name)
end
local groups, order = {}, {}
for group in string.gmatch(redis.call('HGET', key, 'groups') or '', '%S+') do groups[group] = true end
for _, group in ipairs(args.join) do
  if redis.call('SISMEMBER', 'hr:groups', group) == 0 then
    return refuse('NOT_FOUND', 'there is no group ' .. group)
  end
  groups[group] = true
end
for _, group in ipairs(args.leave) do groups[group] = nil end
for group in pairs(groups) do order[#order + 1] = group end
table.sort(order)
if #args.join > 0 and #order > args.most then
  return refuse('CONFLICT', 'a user is in at most ' .. text(args.most) .. ' groups')
end
local disables = args.set.disabled == '1'
local was = redis.call('HMGET', key, 'role', 'disabled')
local demotes = args.set.role and args.set.role ~= 'admin'
if there and was[1] == 'admin' and was[2] ~= '1' and (disables or demotes) then
  local others = 0
  for _, name in ipairs(redis.call('SMEMBERS', 'hr:users')) do
    if name ~= args.name and expect('hr:user:' .. name, 'hash') then
      local other = redis.call('HMGET', 'hr:user:' .. name, 'role', 'disabled')
      if other[1] == 'admin' and other[2] ~= '1' then others = others + 1 end
    end
  end
  if problem then return problem end
  if others == 0 then return refuse('CONFLICT', args.name .. ' is the only admin') end
end
local gone, revokes = {}, disables or (there and args.set.password)
if revokes then
  for _, digest in ipairs(redis.call('SMEMBERS', tokens)) do
    gone[#gone + 1] = 'hr:token:' .. digest
    expect(gone[#gone], 'hash')
  end
end
if problem then return problem end
for _, token in ipairs(gone) do redis.call('DEL', token) end
if revokes then redis.call('DEL', tokens) end
local fields = {'groups', table.concat(order, ' ')}
for name, value in pairs(args.set) do
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if not there then
  fields[#fields + 1] = 'created_ms'
  fields[#fields + 1] = text(now)
end
redis.call('HSET', key, unpack(fields))
if disables then redis.call('HSET', webhooks, 'disabled', '1')
elseif args.set.disabled then redis.call('HDEL', webhooks, 'disabled') end
redis.call('HSET', 'hr:memberships', args.name, table.concat(order, ' '))
redis.call('SADD', 'hr:users', args.name)
hint('kind', 'user', 'user', args.name)
commit()
return {'OK', 1}
