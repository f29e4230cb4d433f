-- Takes or renews the leadership of a role.
-- Arguments: epoch; role; holder (unique to one run of one process); lease_ms.
-- Writes: hr:lease:<role> {holder, term, until_ms}, hr:events on a new term, hr:commits.
-- Reply: {'OK', term, 1} held by the caller; {'OK', term, 0, left_ms} held by another.
-- Invariant: the term rises with each new holder and never falls.
need(args, {role = 'text', holder = 'text', lease_ms = 'number'})
local key = 'hr:lease:' .. args.role
expect(key, 'hash')
if problem then return problem end
local held = redis.call('HMGET', key, 'holder', 'term', 'until_ms')
local term = tonumber(held[2] or '0')
if held[1] and held[1] ~= args.holder and held[1] ~= '' and now < tonumber(held[3]) then
  return {'OK', text(term), 0, text(tonumber(held[3]) - now)}
end
begin_at_maxmemory(key)
if held[1] ~= args.holder then
  term = term + 1
  redis.call('HSET', key, 'holder', args.holder, 'term', text(term),
    'until_ms', text(now + args.lease_ms))
  hint('kind', 'lease', 'role', args.role, 'term', text(term))
  commit()
else
  redis.call('HSET', key, 'until_ms', text(now + args.lease_ms))
end
return {'OK', text(term), 1}
