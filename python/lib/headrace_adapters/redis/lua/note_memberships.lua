-- Writes down who is in which groups, for services that may not read users: programs of versions
-- before change a user alone.
-- Arguments: epoch.
-- Writes: hr:memberships, hr:commits.
-- Reply: {'OK', whose groups were written down otherwise}.
-- Invariant: hr:memberships says of each user what the user's hash says.
expect('hr:users', 'set')
expect('hr:memberships', 'hash')
if problem then return problem end
local wrong = {}
for _, name in ipairs(redis.call('SMEMBERS', 'hr:users')) do
  if not expect('hr:user:' .. name, 'hash') then return problem end
  local groups = redis.call('HGET', 'hr:user:' .. name, 'groups') or ''
  if redis.call('HGET', 'hr:memberships', name) ~= groups then
    wrong[#wrong + 1] = {name, groups}
  end
end
for _, each in ipairs(wrong) do redis.call('HSET', 'hr:memberships', each[1], each[2]) end
if #wrong > 0 then commit() end
return {'OK', #wrong}
