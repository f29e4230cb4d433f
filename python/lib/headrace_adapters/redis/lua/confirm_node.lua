-- An admin says that a lost node is gone: its machine is off, and no worker lives there.
-- Arguments: epoch; node.
-- Writes: hr:node:<node>, hr:events, hr:commits.
-- Reply: {'OK', 1} confirmed now, {'OK', 0} it was so already.
--   Refuses NOT_FOUND, CONFLICT while the node is not lost, WRONG_TYPE.
-- Invariant: it holds for this loss alone: whoever registers the node takes it back.
need(args, {node = 'text'})
local key = 'hr:node:' .. args.node
expect(key, 'hash')
if problem then return problem end
local known = redis.call('HMGET', key, 'state', 'confirmed')
if not known[1] then return refuse('NOT_FOUND', 'there is no node ' .. args.node) end
if known[1] ~= 'LOST' then
  return refuse('CONFLICT', 'node ' .. args.node .. ' is not lost: it is ' .. known[1])
end
if known[2] == '1' then return {'OK', 0} end
begin_at_maxmemory(key)
redis.call('HSET', key, 'confirmed', '1')
hint('kind', 'node', 'node', args.node, 'state', 'LOST')
commit()
return {'OK', 1}
