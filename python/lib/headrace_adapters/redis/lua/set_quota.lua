-- Gives a user or a group a quota, or takes it away.
-- Arguments: epoch; kind (user or group); name; limit (bytes; absent: none).
-- Writes: hr:quotas (`<kind>:<name>` → bytes), hr:commits.
-- Reply: {'OK', 1}. Refuses NOT_FOUND (no such user or group).
-- Invariant: who is not there has no quota.
need(args, {kind = 'text', name = 'text', limit = '?number'})
expect('hr:quotas', 'hash')
expect('hr:groups', 'set')
expect('hr:user:' .. args.name, 'hash')
if problem then return problem end
local there = 0
if args.kind == 'user' then there = redis.call('EXISTS', 'hr:user:' .. args.name)
else there = redis.call('SISMEMBER', 'hr:groups', args.name) end
if there == 0 then return refuse('NOT_FOUND', 'there is no ' .. args.kind .. ' ' .. args.name) end
local field = args.kind .. ':' .. args.name
if args.limit then redis.call('HSET', 'hr:quotas', field, text(args.limit))
else redis.call('HDEL', 'hr:quotas', field) end
commit()
return {'OK', 1}
