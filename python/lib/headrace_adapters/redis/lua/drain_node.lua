-- An admin keeps new attempts from a node, or lets them come again.
-- Arguments: epoch; node; drained (bool).
-- Writes: hr:node:<node>, hr:free:<node>, hr:events, hr:commits.
-- Reply: {'OK', 1} changed now, {'OK', 0} it was so already. Refuses NOT_FOUND, WRONG_TYPE.
-- Invariant: a drained node has no ledger line, so nothing can be placed on it; what it holds stays.
--   The wish outlives the node's loss and its agent.
need(args, {node = 'text', drained = 'flag'})
local key = 'hr:node:' .. args.node
expect(key, 'hash')
expect('hr:free:' .. args.node, 'hash')
expect('hr:held:' .. args.node, 'hash')
if problem then return problem end
local known = redis.call('HMGET', key, 'state', 'drained', 'millicpus', 'memory_bytes', 'full',
  'generic', 'left')
if not known[1] then return refuse('NOT_FOUND', 'there is no node ' .. args.node) end
local wish = args.drained and '1' or '0'
if (known[2] or '0') == wish then return {'OK', 0} end
local line = rebuilt_line(args.node, tonumber(known[3]), tonumber(known[4]),
  pieces(known[6]) or {})
if problem then return problem end
begin_at_maxmemory(key)
redis.call('HSET', key, 'drained', wish)
local state = known[1]
if state ~= 'LOST' then
  state = served_state(wish, known[5])
  redis.call('HSET', key, 'state', state)
  offer(args.node, state, known[7] ~= '1' and line)
end
hint('kind', 'node', 'node', args.node, 'state', state)
commit()
return {'OK', 1}
