-- Revokes tokens of a user.
-- Arguments: epoch; user; id (the first digits of the SHA-256; an empty text: all of them).
-- Writes: hr:token:<digest>, hr:tokens:<user>, hr:events, hr:commits.
-- Reply: {'OK', how many}.
-- Invariant: a revoked token is neither known nor listed.
need(args, {user = 'text', id = 'text'})
local list = 'hr:tokens:' .. args.user
expect(list, 'set')
if problem then return problem end
local gone = {}
for _, digest in ipairs(redis.call('SMEMBERS', list)) do
  if string.sub(digest, 1, #args.id) == args.id then
    gone[#gone + 1] = digest
    expect('hr:token:' .. digest, 'hash')
  end
end
if problem then return problem end
local count = 0
for _, digest in ipairs(gone) do
  redis.call('SREM', list, digest)
  count = count + redis.call('DEL', 'hr:token:' .. digest)
end
if #gone > 0 then
  hint('kind', 'user', 'user', args.user)
  commit()
end
return {'OK', count}
