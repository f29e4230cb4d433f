-- Services are wished for no longer.
-- Arguments: epoch; node; names [service].
-- Writes: hr:services:<node>, hr:refusals:<node>, hr:events, hr:commits.
-- Reply: {'OK', how many wishes there were}.
-- Invariant: a refusal goes with its wish.
need(args, {node = 'text', names = 'texts'})
if #args.names == 0 then error('drop_services needs names') end
local key = 'hr:services:' .. args.node
expect(key, 'hash')
expect('hr:refusals:' .. args.node, 'hash')
if problem then return problem end
redis.call('HDEL', 'hr:refusals:' .. args.node, unpack(args.names))
local dropped = redis.call('HDEL', key, unpack(args.names))
if dropped > 0 then
  hint('kind', 'service', 'node', args.node)
  commit()
end
return {'OK', dropped}
