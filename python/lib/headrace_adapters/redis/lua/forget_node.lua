-- An admin takes a lost node out of the list; its agent would have to register it anew.
-- Arguments: epoch; node.
-- Writes: hr:node:<node>, hr:nodes, hr:work:<node>, hr:facts:<node>, hr:inventory:<node>,
--   hr:services:<node>, hr:refusals:<node>, hr:quarantine:<node>, hr:free:<node>, hr:removed,
--   hr:events, hr:commits.
-- Reply: {'OK', 1} forgotten now, {'OK', 0} there is none. Refuses CONFLICT while the node is
--   served, or attempts that are not over have shares or work there, WRONG_TYPE.
-- Invariant: no attempt waits for a node that is not there. What the node should have cleaned goes
--   with it: nobody will do it. The cluster agent lets its agent in no more, also where the node
--   never registered.
need(args, {node = 'text'})
local key = 'hr:node:' .. args.node
expect(key, 'hash')
expect('hr:nodes', 'set')
expect('hr:removed', 'set')
expect('hr:held:' .. args.node, 'hash')
expect('hr:work:' .. args.node, 'hash')
expect('hr:facts:' .. args.node, 'hash')
expect('hr:inventory:' .. args.node, 'hash')
if problem then return problem end
local state = redis.call('HGET', key, 'state')
if not state then
  redis.call('SADD', 'hr:removed', args.node)
  return {'OK', 0}
end
if state ~= 'LOST' then
  return refuse('CONFLICT', 'node ' .. args.node .. ' is served by an agent: end that first')
end
if redis.call('EXISTS', 'hr:held:' .. args.node) == 1 then
  return refuse('CONFLICT', 'attempts still hold shares of node ' .. args.node)
end
for _, record in ipairs(redis.call('HVALS', 'hr:work:' .. args.node)) do
  if cjson.decode(record).verb ~= 'clean' then
    return refuse('CONFLICT', 'attempts that had a share of node ' .. args.node .. ' are still ending')
  end
end
redis.call('DEL', key, 'hr:work:' .. args.node, 'hr:facts:' .. args.node,
  'hr:inventory:' .. args.node, 'hr:services:' .. args.node, 'hr:refusals:' .. args.node,
  'hr:quarantine:' .. args.node, 'hr:free:' .. args.node)
redis.call('SREM', 'hr:nodes', args.node)
redis.call('SADD', 'hr:removed', args.node)
hint('kind', 'node', 'node', args.node)
commit()
return {'OK', 1}
