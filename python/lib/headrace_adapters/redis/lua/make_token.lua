-- Lets a token stand for a user.
-- Arguments: epoch; user; digest (SHA-256 of the token, hexadecimal); set (its fields);
--   expires_ms (absent: never); most (tokens a user may have).
-- Writes: hr:token:<digest>, hr:tokens:<user>, hr:commits; where the user has `most` already it
--   removes those that have expired.
-- Reply: {'OK', created_ms}, also for a repeat. Refuses NOT_FOUND (no such user, or disabled),
--   CONFLICT (the user has `most` tokens).
-- Invariant: a token is listed under its user, and belongs to one who may log in. Tokens that have
--   expired are in nobody's way.
need(args, {user = 'text', digest = 'text', set = 'texts', expires_ms = '?number',
  most = 'number'})
local key, list = 'hr:token:' .. args.digest, 'hr:tokens:' .. args.user
expect('hr:user:' .. args.user, 'hash')
expect(key, 'hash')
expect(list, 'set')
if problem then return problem end
local user = redis.call('HMGET', 'hr:user:' .. args.user, 'role', 'disabled')
if not user[1] or user[2] == '1' then
  return refuse('NOT_FOUND', 'there is no user ' .. args.user .. ' who may log in')
end
local made = redis.call('HGET', key, 'created_ms')
if made then return {'OK', made} end
-- Expired tokens leave Redis by themselves; their lines in the list go here.
local count, gone, late = 0, {}, {}
for _, digest in ipairs(redis.call('SMEMBERS', list)) do
  local other = 'hr:token:' .. digest
  if not expect(other, 'hash') then return problem end
  local known = redis.call('HMGET', other, 'user', 'expires_ms')
  if not known[1] then gone[#gone + 1] = digest
  else
    count = count + 1
    if known[2] and tonumber(known[2]) <= now then late[#late + 1] = digest end
  end
end
if count >= args.most then
  if #late == 0 then
    return refuse('CONFLICT', args.user .. ' has ' .. text(args.most) .. ' tokens already')
  end
  for _, digest in ipairs(late) do gone[#gone + 1] = digest end
end
local fields = {'user', args.user, 'created_ms', text(now)}
for name, value in pairs(args.set) do
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if args.expires_ms then
  fields[#fields + 1] = 'expires_ms'
  fields[#fields + 1] = text(args.expires_ms)
end
redis.call('HSET', key, unpack(fields))
-- Kept for a week more, so that who shows it hears that it expired.
if args.expires_ms then
  redis.call('PEXPIREAT', key, text(math.max(args.expires_ms, now) + 604800000))
end
for _, digest in ipairs(gone) do
  redis.call('DEL', 'hr:token:' .. digest)
  redis.call('SREM', list, digest)
end
redis.call('SADD', list, args.digest)
commit()
return {'OK', text(now)}
