-- The monitor calls a node lost: it leaves the pool until an agent registers it again.
-- Arguments: epoch; role; term; node; counter (that was seen to stand still).
-- Writes: hr:node:<node>, hr:free:<node>, hr:events, hr:commits.
-- Reply: {'OK', 1} lost now, {'OK', 0} the counter moved or the node is lost already.
-- Invariant: a lost node has no ledger line, so nothing can be placed on it.
need(args, {role = 'text', term = 'number', node = 'text', counter = 'text'})
local key = 'hr:node:' .. args.node
check_term(args.role, args.term)
expect(key, 'hash')
expect('hr:free:' .. args.node, 'hash')
if problem then return problem end
local known = redis.call('HMGET', key, 'counter', 'state')
if known[1] ~= args.counter or known[2] == 'LOST' then return {'OK', 0} end
redis.call('HDEL', 'hr:free:' .. args.node, 'room')
redis.call('HSET', key, 'state', 'LOST')
hint('kind', 'node', 'node', args.node, 'state', 'LOST')
commit()
return {'OK', 1}
