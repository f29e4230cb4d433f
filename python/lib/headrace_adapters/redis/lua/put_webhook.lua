-- Keeps a webhook of a user, or removes one.
-- Arguments: epoch; user; id; most (how many one user may have); doc (absent: remove).
-- Writes: hr:webhooks:<user>, hr:commits.
-- Reply: {'OK', 1} changed, {'OK', 0} it was so already. Refuses CONFLICT (so many are there).
-- Invariant: no event tells of a webhook, whose record holds its secret.
need(args, {user = 'text', id = 'text', most = 'number', doc = '?text'})
local key = 'hr:webhooks:' .. args.user
expect(key, 'hash')
if problem then return problem end
local old = redis.call('HGET', key, args.id)
if (old or nil) == args.doc then return {'OK', 0} end
if args.doc and not old and #redis.call('HKEYS', key) >= args.most then
  return refuse('CONFLICT', 'there are ' .. text(args.most) .. ' webhooks already')
end
if args.doc then
  redis.call('HSET', key, args.id, args.doc)
else
  begin_at_maxmemory(key)
  redis.call('HDEL', key, args.id)
end
commit()
return {'OK', 1}
