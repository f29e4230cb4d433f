-- The monitor keeps messages that webhooks are to get, and how far it has read the events.
-- Arguments: epoch; role; term; most (how many may wait); at (the last event that was read, or
--   absent); put {id = doc}; new {id = doc}, passed over where so many wait; gone [ids].
-- Writes: hr:deliveries, hr:commits.
-- Reply: {'OK', how many of `new` were passed over}. Refuses TERM, EPOCH.
-- Invariant: the place in the events moves together with the messages that came of them.
need(args, {role = 'text', term = 'number', most = 'number', at = '?text', put = 'texts',
  new = 'texts', gone = 'texts'})
local key = 'hr:deliveries'
check_term(args.role, args.term)
expect(key, 'hash')
if problem then return problem end
begin_at_maxmemory(key)
for _, id in ipairs(args.gone) do redis.call('HDEL', key, id) end
for id, doc in pairs(args.put) do
  if redis.call('HEXISTS', key, id) == 1 then redis.call('HSET', key, id, doc) end
end
local room, passed = args.most + 1 - #redis.call('HKEYS', key), 0
for id, doc in pairs(args.new) do
  if room > 0 and redis.call('HEXISTS', key, id) == 0 then
    redis.call('HSET', key, id, doc)
    room = room - 1
  elseif room <= 0 then
    passed = passed + 1
  end
end
if args.at then redis.call('HSET', key, 'at', args.at) end
commit()
return {'OK', passed}
